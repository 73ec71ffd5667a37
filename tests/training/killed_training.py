"""A training for a subprocess that may be killed in the middle: `python killed_training.py MODEL FOLDER OUT [PLACE N]`.

PLACE is ``step`` (in the N-th step), ``save`` (inside the N-th save, with half of it written) or ``publish`` (after the
last step, before the adapter is written). The steps that a process takes are counted in OUT.steps.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "src")]

from qwen_pipeline.training import checkpoint as checkpoint_module  # noqa: E402
from training.tiny_training import adapter_bytes, make_rows, make_trainer  # noqa: E402


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(place: str, number: int, trainer: Any) -> None:
    """Make the process die at the given place."""
    calls = [0]
    if place == "step":
        real = trainer.stepper.accumulate

        def accumulate(rows: Any, step: int = 0) -> Any:
            calls[0] += 1
            if calls[0] == number:
                kill()
            return real(rows, step)

        trainer.stepper.accumulate = accumulate
        return
    real_save = checkpoint_module.torch.save

    def save(state: Any, stream: BinaryIO) -> None:
        calls[0] += 1
        real_save(state, stream)
        if calls[0] == number:
            stream.truncate(stream.tell() // 2)
            kill()

    checkpoint_module.torch.save = save  # type: ignore[assignment]


def count_steps(trainer: Any) -> list[int]:
    """A list that grows by one with every step that is taken."""
    taken: list[int] = []
    real = trainer.stepper.update

    def update() -> None:
        taken.append(trainer.history.step)
        real()

    trainer.stepper.update = update
    return taken


def main() -> None:
    model, folder, out = (Path(argument) for argument in sys.argv[1:4])
    trainer = make_trainer(
        model, folder, rows=make_rows(16), validation=make_rows(4, seed=9), num_epochs=3, save_strategy="steps",
        save_steps=2, lora_dropout=0.1, save_only_model=True, eval_strategy="epoch",
    )  # fmt: skip
    if len(sys.argv) > 5:
        arm(sys.argv[4], int(sys.argv[5]), trainer)
    taken = count_steps(trainer)
    report = trainer.run()
    if sys.argv[4:5] == ["publish"]:
        kill()
    out.with_suffix(".steps").write_text(str(len(taken)))
    out.write_bytes(adapter_bytes(trainer))
    out.with_suffix(".losses").write_text(repr(report["losses"]))


if __name__ == "__main__":
    main()
