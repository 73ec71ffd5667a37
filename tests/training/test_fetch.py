"""Rows stay on disk: what is kept of them is a number each."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets import Dataset
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.fetch import require_rows, row_lengths
from training.tiny_training import make_rows, make_trainer


@pytest.fixture
def on_disk(tmp_path: Path) -> Dataset:
    rows = [
        {"input_ids": list(range(number % 190 + 10)), "example_id": str(number)} for number in range(20_000)
    ]
    Dataset.from_list(rows).save_to_disk(tmp_path / "rows")
    return Dataset.load_from_disk(str(tmp_path / "rows"))


def test_lengths_are_those_of_the_rows_however_they_are_kept() -> None:
    rows = make_rows(30)
    expected = [len(row["input_ids"]) for row in rows]
    table = Dataset.from_list(rows)
    assert row_lengths(rows).tolist() == row_lengths(table).tolist() == expected
    assert row_lengths(table.select([4, 2])).tolist() == [expected[4], expected[2]]
    assert row_lengths(table.select([])).tolist() == []


def test_lengths_are_read_without_the_tokens(on_disk: Dataset) -> None:
    row_lengths(on_disk)  # imports
    tracemalloc.start()
    lengths = row_lengths(on_disk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths.nbytes == 4 * len(on_disk)
    assert peak < 2_000_000  # the tokens as Python numbers would take 16 MB and more
    assert np.sum(lengths) == sum(number % 190 + 10 for number in range(20_000))


def test_validation_rows_are_not_copied_and_give_the_same_loss(tiny: Path, tmp_path: Path) -> None:
    rows = make_rows(8, seed=4)
    table = Dataset.from_list(rows)
    lazy, eager = (
        make_trainer(tiny, tmp_path, validation=table),
        make_trainer(tiny, tmp_path, validation=rows),
    )  # type: ignore[arg-type]
    assert isinstance(lazy.validation_rows, Dataset)
    assert lazy.stepper.validate(lazy.validation_rows) == eager.stepper.validate(eager.validation_rows)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"save_strategy": "best"}, "save_strategy=best .*save_strategy=epoch"),
        ({"load_best_model_at_end": True}, "load_best_model_at_end=true"),
        ({"early_stopping_patience": 2}, "early_stopping_patience=2"),
    ],
)
def test_what_follows_the_validation_loss_needs_validation_rows(values: dict[str, Any], told: str) -> None:
    parameters = TrainParameters.model_validate(values)
    with pytest.raises(NoExamplesError, match=told):
        require_rows(make_rows(1), [], parameters)
    require_rows(make_rows(1), make_rows(1), parameters)
    require_rows(make_rows(1), [], TrainParameters())
