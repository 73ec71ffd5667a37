"""Running out of memory costs a halving at most, is remembered in checkpoints, and never costs trained steps."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.errors import OutOfMemoryError, TrainingInterruptedError
from qwen_pipeline.memory.trace import settled_heap
from qwen_pipeline.training.loop import Trainer
from training.tiny_training import adapter_bytes, make_rows, make_trainer

ROWS = [{**row, "input_ids": [7] * 16, "labels": [-100] * 8 + [9] * 8} for row in make_rows(16)]
SETTINGS: dict[str, Any] = {
    "batch_size": 8,
    "gradient_accumulation_steps": 1,
    "lora_dropout": 0.1,
    "neftune_noise_alpha": 1.0,
}


@pytest.fixture(autouse=True, scope="module")
def what_other_tests_left_is_not_searched_for_garbage() -> Iterator[None]:
    with settled_heap():
        yield


def trainer_of(tiny: Path, folder: Path, **settings: Any) -> Trainer:
    return make_trainer(tiny, folder, ROWS, make_rows(4, seed=2), **{**SETTINGS, **settings})


def fail(patch: pytest.MonkeyPatch, trainer: Trainer, when: Callable[[int], bool]) -> list[int]:
    """Let every forward of a training step fail for which ``when`` says so of its tokens; returns all their tokens."""
    sizes: list[int] = []
    real = trainer.stepper._micro_step

    def tight(rows: Any, trained_tokens: int, step: int) -> torch.Tensor:
        sizes.append(sum(len(row["input_ids"]) for row in rows))
        if when(sizes[-1]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        return real(rows, trained_tokens, step)

    patch.setattr(trainer.stepper, "_micro_step", tight)
    return sizes


def test_one_failure_halves_the_micro_batches_once_however_often_it_is_split(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tiny, tmp_path)
    fail(monkeypatch, trainer, lambda tokens: tokens > 16)
    trainer.stepper.accumulate(ROWS[:8])
    assert [event["size"] for event in trainer.history.events][:3] == [128, 64, 32]
    assert trainer.stepper.max_tokens == 64
    trainer.stepper.accumulate(ROWS[:8])
    assert trainer.stepper.max_tokens == 32


def test_the_first_micro_batch_that_only_takes_the_time_lowers_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tiny, tmp_path)
    with monkeypatch.context() as patch:
        fail(patch, trainer, lambda tokens: tokens > 16)
        assert trainer.stepper.time_micro_batch(ROWS[:8]) > 0
    assert trainer.stepper.max_tokens is None
    assert trainer.history.events == []
    with monkeypatch.context() as patch:
        fail(patch, trainer, lambda tokens: tokens > 16)
        trainer.stepper.accumulate(ROWS[:8])
    assert trainer.stepper.max_tokens == 64


def test_a_resumed_training_splits_as_the_stopped_one_had_learnt(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tight(tokens: int) -> bool:
        return tokens > 64

    with monkeypatch.context() as patch:
        undisturbed = trainer_of(tiny, tmp_path / "a")
        fail(patch, undisturbed, tight)
        undisturbed.run()
    stopped = trainer_of(tiny, tmp_path / "b")
    real = stopped.stepper.update

    def update() -> None:
        real()
        os.kill(os.getpid(), signal.SIGTERM)

    stopped.stepper.update = update  # type: ignore[method-assign]
    with monkeypatch.context() as patch, pytest.raises(TrainingInterruptedError):
        fail(patch, stopped, tight)
        stopped.run()
    resumed = trainer_of(tiny, tmp_path / "b")
    with monkeypatch.context() as patch:
        sizes = fail(patch, resumed, tight)
        report = resumed.run()
    assert max(sizes) == 64
    assert [event["kind"] for event in report["events"]] == ["out_of_memory", "resumed"]
    assert adapter_bytes(resumed) == adapter_bytes(undisturbed)


@pytest.mark.parametrize(
    ("cap_gib", "later_gib", "tokens"), [(6.0, 8.0, None), (6.0, 6.0, 32), (6.0, 4.0, 32)]
)
def test_a_higher_cap_forgets_what_the_lower_one_taught(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cap_gib: float,
    later_gib: float,
    tokens: int | None,
) -> None:
    stopped = trainer_of(tiny, tmp_path, max_memory_gb=cap_gib, save_strategy="epoch")
    with monkeypatch.context() as patch, pytest.raises(OutOfMemoryError, match="a higher max_memory_gb"):
        fail(patch, stopped, lambda tokens: tokens > 64 or len(stopped.history.losses) == 1)
        stopped.parameters = stopped.parameters.model_copy(update={"save_strategy": "epoch"})
        stopped.run()
    resumed = trainer_of(tiny, tmp_path, max_memory_gb=later_gib)
    history = resumed.continuation.resume(resumed.history)
    assert history.step == 1
    assert resumed.stepper.max_tokens == tokens

    again = trainer_of(tiny, tmp_path, max_memory_gb=5.0)
    resumed.continuation.save(history)
    again.continuation.resume(again.history)
    assert again.stepper.max_tokens == tokens  # 4 GiB did not run out; the 6 before it did


def test_a_validation_row_that_fits_at_the_second_attempt_ends_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = trainer_of(tiny, tmp_path, batch_size=1)
    expected = trainer.stepper.validate(trainer.validation_rows)
    real, seen = trainer.stepper._score, list[str]()

    def tight(rows: list[Any]) -> tuple[float, int]:
        seen.append(rows[0]["example_id"])
        if len(seen) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        return real(rows)

    monkeypatch.setattr(trainer.stepper, "_score", tight)
    assert trainer.stepper.validate(trainer.validation_rows) == expected
    assert seen == ["row-0", "row-1", "row-1", "row-2", "row-3"]
    tokens = len(trainer.validation_rows[1]["input_ids"])
    assert [(event["action"], event["size"]) for event in trainer.history.events] == [("retry", tokens)]
    assert f"Out of memory at {tokens} tokens of validation: retry" in caplog.text
    assert trainer.stepper.max_tokens is None


@pytest.mark.parametrize("place", ["micro-batch", "optimiser", "validation"])
def test_steps_taken_before_memory_runs_out_for_good_are_saved_and_gone_on_from(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    settings: dict[str, Any] = {"save_strategy": "epoch", "eval_strategy": "steps", "eval_steps": 3}
    undisturbed = trainer_of(tiny, tmp_path / "a", **settings)
    report = undisturbed.run()
    short = trainer_of(tiny, tmp_path / "b", **settings)

    def is_time(*ignored: object) -> bool:
        return len(short.history.losses) == 3

    def fails(*arguments: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with monkeypatch.context() as patch, pytest.raises(OutOfMemoryError) as told:
        if place == "micro-batch":
            fail(patch, short, is_time)
        elif place == "optimiser":
            real = short.parts.optimiser.step
            patch.setattr(short.parts.optimiser, "step", lambda *a: fails() if is_time() else real(*a))
        else:
            patch.setattr(short.stepper, "_score", fails)
        short.run()
    assert "checkpoint-3 is saved, after step 3 of 4" in str(told.value)
    assert "max_memory_gb" in str(told.value)

    resumed = trainer_of(tiny, tmp_path / "b", **settings)
    again = resumed.run()
    assert again["losses"] == pytest.approx(report["losses"], rel=1e-3)
    assert [entry["step"] for entry in again["validation"]] == [3, 4]
    assert [entry["loss"] for entry in again["validation"]] == pytest.approx(
        [entry["loss"] for entry in report["validation"]], rel=1e-3
    )
    if place != "micro-batch":  # whose rows are run in smaller parts from now on, with a dropout of their own
        assert adapter_bytes(resumed) == adapter_bytes(undisturbed)


@pytest.mark.parametrize("settings", [{"save_strategy": "no"}, {"max_steps": 1, "save_strategy": "epoch"}])
def test_nothing_is_saved_where_nothing_was_trained_or_asked_for(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    trainer = trainer_of(tiny, tmp_path, **settings)
    steps = 2 if settings["save_strategy"] == "no" else 0
    fail(monkeypatch, trainer, lambda tokens: len(trainer.history.losses) == steps)
    with pytest.raises(OutOfMemoryError) as told:
        trainer.run()
    assert "saved" not in str(told.value)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_memory_that_runs_out_behind_the_last_micro_batch_changes_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = trainer_of(tiny, tmp_path / "a", loraplus_lr_ratio=4.0)  # two groups
    undisturbed.run()
    disturbed = trainer_of(tiny, tmp_path / "b", loraplus_lr_ratio=4.0)
    second = disturbed.stepper._flat[1]
    real, calls = second.gather_gradients, [0]

    def fails_once_a_run() -> torch.Tensor:
        calls[0] += 1
        if calls[0] == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 126.00 MiB")
        return real()

    monkeypatch.setattr(second, "gather_gradients", fails_once_a_run)
    report = disturbed.run()
    assert [(event["kind"], event["action"]) for event in report["events"]] == [("out_of_memory", "retry")]
    assert "Out of memory in the optimiser's step: retry" in caplog.text
    assert disturbed.stepper.max_tokens is None
    assert adapter_bytes(disturbed) == adapter_bytes(undisturbed)


def test_gradients_that_never_fit_together_end_the_run_with_a_checkpoint(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tiny, tmp_path, save_strategy="epoch")
    real, calls = trainer.stepper._flat[0].gather_gradients, [0]

    def fails_from_the_second_step_on() -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 3:  # two are the timed micro-batch's
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 126.00 MiB")
        return real()

    monkeypatch.setattr(trainer.stepper._flat[0], "gather_gradients", fails_from_the_second_step_on)
    with pytest.raises(OutOfMemoryError, match="checkpoint"):
        trainer.run()
    assert trainer.history.step == 1
    assert all(weight.grad is None for weight in trainer.stepper.trained)
