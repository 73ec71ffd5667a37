"""Rows stay on disk: what is kept of them is a number each."""

import multiprocessing
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datasets import Dataset
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.fetch import fetch_steps, require_rows, row_lengths
from qwen_pipeline.training.interrupt import SIGNALS
from qwen_pipeline.training.order import StepOrder
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


def fetched(rows: Any, on_cuda: bool = False, **settings: Any) -> list[list[dict[str, Any]]]:
    parameters = TrainParameters.model_validate(settings)
    order = StepOrder(len(rows), 4, 1, None, seed=3)
    return [[dict(row) for row in step] for step in fetch_steps(rows, order, 1, parameters, on_cuda)]


def as_lists(steps: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [
        [row | {name: row[name].tolist() for name in ("input_ids", "labels")} for row in step]
        for step in steps
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_rows_of_a_step_are_tensors_of_the_same_tokens_however_they_are_kept(workers: int) -> None:
    rows = make_rows(11)
    order = StepOrder(11, 4, 1, None, seed=3)
    expected = [[rows[number] for number in order.rows_of(step)] for step in (2, 3)]
    for kept in (rows, Dataset.from_list(rows), Dataset.from_list([*rows, *rows]).select(range(11))):
        steps = fetched(kept, dataloader_num_workers=workers)
        assert as_lists(steps) == expected
        assert {row[name].dtype for step in steps for row in step for name in ("input_ids", "labels")} == {
            torch.int64
        }


def test_a_signal_to_the_whole_group_ends_no_worker() -> None:
    """The run itself notes it, finishes its step and saves; without its workers it would have no step to finish."""
    rows, order = make_rows(40), StepOrder(40, 4, 1, None, seed=3)
    steps = fetch_steps(rows, order, 0, TrainParameters(dataloader_num_workers=1), on_cuda=False)
    next(steps)
    for worker in multiprocessing.active_children():
        for number in SIGNALS:
            os.kill(int(worker.pid or 0), number)
    assert len(list(steps)) == 9
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("as_table", [False, True])
def test_unused_columns_stay_where_they_are_wanted(as_table: bool) -> None:
    rows = [{**row, "note": f"on {row['example_id']}"} for row in make_rows(8)]
    (step,) = fetched(Dataset.from_list(rows) if as_table else rows, remove_unused_columns=False)
    assert [row["note"] for row in step] == [f"on {row['example_id']}" for row in step]
    (bare,) = fetched(Dataset.from_list(rows))
    assert not [row for row in bare if "note" in row]


@pytest.mark.parametrize(
    ("on_cuda", "wanted", "pinned"), [(True, True, 2), (True, False, 0), (False, True, 0)]
)
def test_a_step_is_pinned_as_a_whole_where_it_is_wanted(
    on_cuda: bool, wanted: bool, pinned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        asked.append(tensor.numel())
        return tensor.clone()

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    (step,) = fetched(make_rows(8), on_cuda, dataloader_pin_memory=wanted)
    tokens = sum(len(row["input_ids"]) for row in step)
    assert asked == [tokens] * pinned
