"""One process of a data-parallel step, for a subprocess: `python rank_of_a_step.py MODEL FOLDER OUT`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "src")]

import torch  # noqa: E402
from accelerate import PartialState  # noqa: E402

from training.tiny_training import make_rows, make_trainer  # noqa: E402


def main() -> None:
    model, folder, out = (Path(argument) for argument in sys.argv[1:4])
    trainer = make_trainer(model, folder)
    result = trainer.stepper.accumulate(make_rows(5))
    gradient = torch.cat([p.grad.flatten() for p in trainer.stepper.trained if p.grad is not None])
    state = PartialState()
    torch.save((result, gradient), out / f"{state.process_index}-of-{state.num_processes}.pt")
    state.destroy_process_group()


if __name__ == "__main__":
    main()
