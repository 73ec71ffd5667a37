"""Rows of the coming optimiser steps, fetched by a PyTorch data loader, in the order of the steps."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.params.schedulers import VALIDATION_SCHEDULERS
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.interrupt import leave_signals_to_the_run
from qwen_pipeline.training.order import StepOrder
from qwen_pipeline.training.step_rows import RowTable, StepRows

ROWS_A_BATCH = 10_000  # of an Arrow table, looked at together
TRAINED_COLUMNS = ("input_ids", "labels", "example_id")


class _Steps(Sampler[list[int]]):
    """Row numbers, one list an optimiser step, from the step after ``done``."""

    def __init__(self, order: StepOrder, done: int) -> None:
        self._order, self._done = order, done

    def __iter__(self) -> Iterator[list[int]]:
        return (self._order.rows_of(step) for step in range(self._done + 1, self._order.steps + 1))

    def __len__(self) -> int:
        return self._order.steps - self._done


def fetch_steps(
    rows: Sequence[Row], order: StepOrder, done: int, parameters: TrainParameters, on_cuda: bool
) -> Generator[list[Row], None, None]:
    """The rows of each optimiser step after ``done``, their tokens as int64 tensors.

    Args:
        rows: All training rows.
        order: Which rows belong to which step.
        done: Steps already trained.
        parameters: ``dataloader_*`` and ``remove_unused_columns``.
        on_cuda: Pinning only helps there; a micro-batch packed of pinned rows is pinned too.
    """
    workers = parameters.dataloader_num_workers
    loader: DataLoader[StepRows] = DataLoader(
        RowTable(select_columns(rows) if parameters.remove_unused_columns else rows),  # type: ignore[arg-type]
        batch_sampler=_Steps(order, done),
        collate_fn=_as_is,  # type: ignore[arg-type]  # the table gives a whole step at once
        num_workers=workers,
        pin_memory=parameters.dataloader_pin_memory and on_cuda,
        prefetch_factor=parameters.dataloader_prefetch_factor if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals_to_the_run,
        generator=torch.Generator(),  # else every new loader draws from the generator that dropout draws from
    )
    for step in loader:
        yield step.rows()


def select_columns(rows: Any) -> Any:
    """The rows with the trained columns alone, where they can be selected without copying."""
    names = getattr(rows, "column_names", None)
    if names is None or set(names) <= set(TRAINED_COLUMNS):
        return rows
    return rows.select_columns([name for name in names if name in TRAINED_COLUMNS])


def row_lengths(rows: Any) -> NDArray[np.int32]:
    """Tokens of every row, four bytes each; of an Arrow table the lengths are read and no token is."""
    if not hasattr(rows, "column_names"):
        return np.fromiter((len(row["input_ids"]) for row in rows), np.int32, len(rows))
    import pyarrow.compute

    batches = rows.select_columns(["input_ids"]).with_format("arrow").iter(batch_size=ROWS_A_BATCH)
    parts = [pyarrow.compute.list_value_length(batch["input_ids"]).to_numpy() for batch in batches]
    return np.concatenate([np.empty(0, np.int32), *parts]).astype(np.int32)


def require_rows(rows: Sequence[Row], validation_rows: Sequence[Row], parameters: TrainParameters) -> None:
    """Refuse a training that has nothing to train on, or to follow.

    Raises:
        NoExamplesError: There is no training row, or no validation row for a setting that follows them.
    """
    if not len(rows):
        raise NoExamplesError("There is no training row; see tokenize_rejects and data_report for why.")
    if not len(validation_rows) and (following := _what_follows_validation(parameters)):
        setting, instead = following
        raise NoExamplesError(
            f"{setting} follows the validation loss, and there is no validation row; "
            f"set validation_fraction=0.05, or {instead}."
        )


def _what_follows_validation(parameters: TrainParameters) -> tuple[str, str] | None:
    """A setting that means nothing without validation rows, and what to set instead."""
    if parameters.lr_scheduler_type in VALIDATION_SCHEDULERS:
        return f"lr_scheduler_type={parameters.lr_scheduler_type}", "lr_scheduler_type=cosine"
    if parameters.save_strategy == "best":
        return "save_strategy=best", "save_strategy=epoch"
    if parameters.load_best_model_at_end:
        return "load_best_model_at_end=true", "load_best_model_at_end=false"
    if parameters.early_stopping_patience is not None:
        return f"early_stopping_patience={parameters.early_stopping_patience}", "early_stopping_patience=none"
    return None


def _as_is(step: StepRows) -> StepRows:
    return step


def _leave_signals_to_the_run(worker: int) -> None:
    """The run finishes its step, saves and ends the workers.

    So whoever fetches must close the steps: what Python ends by a signal at its exit would be waited for without end.
    """
    leave_signals_to_the_run()
