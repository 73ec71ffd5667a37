"""What the processes of `test_launch.py` do, importable by them: a tiny training, and what may happen to it."""

import os
import signal
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from qwen_pipeline.training.ranks import is_first, leave_ranks, of_all

Trainer = Any  # of `qwen_pipeline.training.loop`, which takes seconds to import: not for those that only fail

SETTINGS: dict[str, Any] = {
    "save_strategy": "steps", "save_steps": 2, "eval_strategy": "epoch", "num_processes": 2, "lora_dropout": 0.1,
    "batch_size": 1, "gradient_accumulation_steps": 5,  # an odd number: one process draws random numbers more often
}  # fmt: skip


def train(model: Path, folder: Path, event: str = "nothing", **settings: Any) -> dict[str, Any]:
    """Train in this process's part; the report, with the adapter and whether all processes have the same."""
    from training.tiny_training import adapter_bytes

    trainer = make(model, folder, **settings)
    gradient = first_gradient(trainer)
    EVENTS[event](trainer)
    report = trainer.run()
    adapters = of_all(sha256(adapter_bytes(trainer)).hexdigest())
    leave_ranks()
    return {**report, "adapter": adapter_bytes(trainer), "adapters": set(adapters), "gradient": gradient}


def make(model: Path, folder: Path, **settings: Any) -> Trainer:
    """The training that all of them do: 23 rows, 5 for validation, 10 steps."""
    from training.tiny_training import make_rows, make_trainer

    return make_trainer(
        model, folder, make_rows(23, longest=100), make_rows(5, seed=9), **SETTINGS | settings
    )


def first_gradient(trainer: Trainer) -> torch.Tensor:
    """Of a step of five rows, which is not taken."""
    trainer.stepper.accumulate([trainer.rows[number] for number in range(5)])
    gradient = torch.cat([part.grad.flatten() for part in trainer.stepper.trained])
    trainer.stepper.discard()
    return gradient


def raise_in_the_second() -> None:
    """A defect in one process while the other waits for it."""
    if not is_first():
        raise ValueError("a defect")
    of_all(None)


def _at_step(trainer: Trainer, step: int, happens: Callable[[], None]) -> None:
    real = trainer.stepper.accumulate

    def accumulate(rows: Any, number: int = 0) -> Any:
        if number == step:
            happens()
        return real(rows, number)

    trainer.stepper.accumulate = accumulate  # type: ignore[method-assign]


def _ask_to_stop(trainer: Trainer) -> None:
    """The run hears a signal in the third step, and has time to pass it on."""

    def ask() -> None:
        if is_first():
            os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(1)

    _at_step(trainer, 3, ask)


def _kill_the_second(trainer: Trainer) -> None:
    _at_step(trainer, 6, lambda: is_first() or os.kill(os.getpid(), signal.SIGKILL))


def _fill_memory(trainer: Trainer, step: int, failures: int) -> None:
    """From that step on the second process's micro-batches do not fit, ``failures`` times."""
    from qwen_pipeline.training import step as step_module

    real, left = step_module.micro_step, [0]

    def micro_step(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(*given, **named)

    step_module.micro_step = micro_step
    _at_step(trainer, step, lambda: left.__setitem__(0, 0 if is_first() else failures))


def _fail_one_update(trainer: Trainer) -> None:
    """The second process runs out of memory in the optimiser's third step."""
    optimiser, calls = trainer.stepper.optimiser, [0]
    real = optimiser.step

    def step(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3 and not is_first():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(*given)

    optimiser.step = step


def _recover_twice(trainer: Trainer) -> None:
    _fill_memory(trainer, step=2, failures=1)
    _fail_one_update(trainer)


EVENTS: dict[str, Callable[[Trainer], None]] = {
    "nothing": lambda trainer: None,
    "asked": _ask_to_stop,
    "killed": _kill_the_second,
    "full": lambda trainer: _fill_memory(trainer, step=8, failures=1_000),
    "full twice": _recover_twice,
}
