"""What a training tells on the way."""

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.errors import TrainingInterruptedError
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training import step as step_module
from training.tiny_training import make_rows, make_trainer


def test_timing_a_micro_batch_leaves_no_gradient_and_no_trace(tiny: Path, tmp_path: Path) -> None:
    trainer, rows = make_trainer(tiny, tmp_path, lora_dropout=0.1), make_rows(4)
    before = torch.get_rng_state()
    assert trainer.stepper.time_micro_batch(rows) > 0
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in trainer.stepper.trained)


def test_the_time_that_is_told_is_not_that_of_a_first_time(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rows = make_trainer(tiny, tmp_path), make_rows(4)
    real, taken = step_module.micro_step, iter([5.0, 0.5])
    now = [0.0]

    def slow_at_first(*given: Any, **named: Any) -> Any:
        now[0] += next(taken)
        return real(*given, **named)

    monkeypatch.setattr(step_module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(step_module, "micro_step", slow_at_first)
    tokens = sum(len(row["input_ids"]) for row in rows[: trainer.stepper.max_rows])
    assert trainer.stepper.time_micro_batch(rows) == pytest.approx(0.5 / tokens)


def test_steps_tokens_time_and_disk_are_told_before_the_first_step(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = make_rows(96)
    with caplog.at_level(logging.INFO):
        make_trainer(tiny, tmp_path, rows, save_strategy="epoch", num_epochs=1).run()
    tokens = sum(len(row["input_ids"]) for row in rows)
    assert tokens > 1_000
    told = next(message for message in caplog.messages if "optimiser steps" in message)
    assert told.startswith(f"24 optimiser steps over {tokens:,} tokens, about ")
    assert "checkpoints take up to" in told


class Listener(Reporter):
    """Keeps the kinds of the events that it is told, and has its run open late."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.run_id = "opened at the first figures"

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.kinds = [str(event["kind"]) for event in events]


def test_an_interrupted_training_tells_its_events_and_its_second_part_tells_all(
    tiny: Path, tmp_path: Path
) -> None:
    first = Listener()
    trainer = make_trainer(tiny, tmp_path, reporter=first, save_strategy="epoch")
    update = trainer.stepper.update

    def stop_after() -> None:
        update()
        trainer.history.event("out_of_memory")
        os.kill(os.getpid(), signal.SIGTERM)

    trainer.stepper.update = stop_after  # type: ignore[method-assign]
    with pytest.raises(TrainingInterruptedError):
        trainer.run()
    assert first.kinds == ["out_of_memory"]
    second = Listener()
    report = make_trainer(tiny, tmp_path, reporter=second, save_strategy="epoch").run()
    assert second.kinds == ["out_of_memory", "resumed"] == [event["kind"] for event in report["events"]]


def test_a_failed_training_tells_its_events(tiny: Path, tmp_path: Path) -> None:
    listener = Listener()
    trainer = make_trainer(tiny, tmp_path, reporter=listener)

    def fails() -> None:
        trainer.history.event("skipped_step")
        raise ValueError("broken")

    trainer.stepper.update = fails  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="broken"):
        trainer.run()
    assert listener.kinds == ["skipped_step"]


def test_a_run_that_the_store_opens_late_is_still_named_in_the_report(tiny: Path, tmp_path: Path) -> None:
    report = make_trainer(tiny, tmp_path, reporter=Listener()).run()
    assert report["mlflow_run_id"] == "opened at the first figures"
