"""The rows of one optimiser step as two flat tensors: read, sent between processes and pinned as a whole, never token by token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from qwen_pipeline.chat.packing import Row, end_to_end

TOKENS = ("input_ids", "labels")


@dataclass(frozen=True)
class StepRows:
    """Rows end to end, as a data loader hands them over.

    Attributes:
        input_ids: ``[tokens]`` int64.
        labels: ``[tokens]`` int64.
        lengths: Tokens of each row.
        others: Of each row the columns that are not tokens, ``example_id`` above all.
    """

    input_ids: Tensor
    labels: Tensor
    lengths: Sequence[int]
    others: Sequence[Mapping[str, Any]]

    def pin_memory(self) -> "StepRows":
        """The same in page-locked memory; the data loader calls it where it is to pin."""
        return replace(self, input_ids=self.input_ids.pin_memory(), labels=self.labels.pin_memory())

    def rows(self) -> list[Row]:
        """The rows; their tokens are views of the flat tensors, pinned where these are."""
        lengths = list(self.lengths)
        ids, labels = torch.split(self.input_ids, lengths), torch.split(self.labels, lengths)
        return [
            {**others, "input_ids": own_ids, "labels": own_labels}
            for own_ids, own_labels, others in zip(ids, labels, self.others, strict=True)
        ]


class RowTable:
    """All rows, for a data loader that asks for several at once."""

    def __init__(self, rows: Any) -> None:
        """Take the rows.

        Args:
            rows: A sequence of mappings, or a table of ``datasets``, of which no token becomes a Python number.
        """
        self._is_table = hasattr(rows, "column_names")
        self._rows = rows.with_format("arrow") if self._is_table else rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, numbers: list[int]) -> StepRows:
        return self._read_table(numbers) if self._is_table else self._read_mappings(numbers)

    def _read_mappings(self, numbers: list[int]) -> StepRows:
        rows = [self._rows[number] for number in numbers]
        ids, labels = (torch.from_numpy(end_to_end([row[name] for row in rows])) for name in TOKENS)
        others = [{name: value for name, value in row.items() if name not in TOKENS} for row in rows]
        return StepRows(ids, labels, [len(row["input_ids"]) for row in rows], others)

    def _read_table(self, numbers: list[int]) -> StepRows:
        import pyarrow.compute

        table = self._rows[numbers]
        flat = (pyarrow.compute.list_flatten(table[name]).to_numpy() for name in TOKENS)
        ids, labels = (torch.from_numpy(end_to_end([column])) for column in flat)
        lengths = pyarrow.compute.list_value_length(table["input_ids"]).to_pylist()
        return StepRows(ids, labels, lengths, table.drop_columns(list(TOKENS)).to_pylist())
