"""The train report is JSON that any reader takes."""

import json
from pathlib import Path

import pytest

from training.tiny_training import make_trainer


def test_figures_that_are_not_finite_are_null(tiny: Path, tmp_path: Path) -> None:
    trainer = make_trainer(tiny, tmp_path, max_steps=3)
    accumulate = trainer.stepper.accumulate

    def broken_once(rows: object, step: int = 0) -> object:
        result = accumulate(rows, step)  # type: ignore[arg-type]
        return result if trainer.history.step else type(result)(**{**vars(result), "loss": float("nan")})

    trainer.stepper.accumulate = broken_once  # type: ignore[method-assign,assignment]
    report = trainer.run()
    read = json.loads(json.dumps(report), parse_constant=pytest.fail)
    assert read["losses"][0] is None
    assert all(isinstance(loss, float) for loss in read["losses"][1:])
