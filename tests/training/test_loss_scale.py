"""float16: the search for a loss scale is no divergence, and a resumed training has the scale of an undisturbed one."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.errors import TrainingDivergedError, TrainingInterruptedError
from qwen_pipeline.training.guards import NONFINITE_IN_A_ROW, LossGuard
from qwen_pipeline.training.loop import Trainer
from training.tiny_training import adapter_bytes, make_rows, make_trainer


def float16_trainer(tiny: Path, folder: Path, scaling: dict[str, Any], **settings: Any) -> Trainer:
    """A training in float16 whose scaler starts with ``scaling``."""
    trainer = make_trainer(tiny, folder, rows=make_rows(8), fp16=True, **settings)
    trainer.parts.scaler.load_state_dict({**trainer.parts.scaler.state_dict(), **scaling})
    return trainer


def test_many_overflows_in_a_row_while_the_scale_falls_are_no_divergence(tiny: Path, tmp_path: Path) -> None:
    trainer = float16_trainer(tiny, tmp_path, {"scale": 2.0**36}, num_epochs=15, max_rollbacks=0)
    report = trainer.run()
    kinds = [event["kind"] for event in report["events"]]
    assert kinds.count("loss_scale_lowered") > 2 * NONFINITE_IN_A_ROW
    assert set(kinds) == {"loss_scale_lowered"}
    assert report["events"][0]["scale"] == 2.0**35
    assert report["losses"][-1] < report["losses"][0]


def test_at_the_lowest_scale_an_overflow_is_a_step_that_is_not_finite(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = float16_trainer(tiny, tmp_path, {"scale": 8.0}, num_epochs=15, max_rollbacks=0)
    real = trainer.stepper._micro_step

    def poisoned(rows: Any, tokens: int, step: int) -> torch.Tensor:
        loss = real(rows, tokens, step)
        for parameter in trainer.stepper.trained:
            if parameter.grad is not None:
                parameter.grad.fill_(math.inf)
        return loss

    monkeypatch.setattr(trainer.stepper, "_micro_step", poisoned)
    with pytest.raises(TrainingDivergedError):
        trainer.run()
    kinds = [event["kind"] for event in trainer.history.events]
    assert kinds == ["loss_scale_lowered"] * 3 + ["skipped_step"] * NONFINITE_IN_A_ROW


def test_an_overflow_neither_counts_nor_ends_a_count() -> None:
    guard = LossGuard(100)
    for overflowed in [False, True, False, True, False, False]:
        assert not guard.is_finite(1.0, math.inf, overflowed)
    assert not guard.has_diverged([1.0])
    assert not guard.is_finite(1.0, math.inf)
    assert guard.has_diverged([1.0])


@pytest.mark.parametrize("scale", [2.0**10, 2.0**40], ids=["fits", "overflows"])
def test_timing_a_micro_batch_leaves_the_scaler_as_it_was(tiny: Path, tmp_path: Path, scale: float) -> None:
    trainer = float16_trainer(tiny, tmp_path, {"scale": scale, "_growth_tracker": 2, "growth_interval": 3})
    before = trainer.parts.scaler.state_dict()
    trainer.stepper.time_micro_batch(make_rows(4))
    assert trainer.parts.scaler.state_dict() == before
    trainer.stepper.accumulate(make_rows(4))
    trainer.stepper.discard()
    assert trainer.parts.scaler.state_dict() != before


def test_a_resumed_training_has_the_loss_scale_of_an_undisturbed_one(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling = {"scale": 2.0**10, "growth_interval": 4}
    undisturbed = float16_trainer(tiny, tmp_path / "a", scaling, num_epochs=4)
    undisturbed.run()
    stopped = float16_trainer(tiny, tmp_path / "b", scaling, num_epochs=4)
    real = stopped.stepper.update

    def update() -> None:
        real()
        if stopped.history.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(stopped.stepper, "update", update)
    with pytest.raises(TrainingInterruptedError):
        stopped.run()
    resumed = float16_trainer(tiny, tmp_path / "b", scaling, num_epochs=4)
    resumed.run()
    assert undisturbed.parts.scaler.get_scale() > 2.0**10
    assert resumed.parts.scaler.state_dict() == undisturbed.parts.scaler.state_dict()
    assert adapter_bytes(resumed) == adapter_bytes(undisturbed)
