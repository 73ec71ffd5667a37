"""Micro-batches without padding: rows end to end, positions restarting, attention kept within each row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

IGNORE_INDEX = -100
# On a CPU a micro-batch is filled up to a multiple of this: oneDNN builds and keeps a kernel for every shape it meets.
# See benchmarks/LOG.md.
CPU_MULTIPLE = 32
Row = Mapping[str, Any]


@dataclass(frozen=True)
class PackedBatch:
    """Several rows as one sequence of T tokens.

    Attributes:
        input_ids: ``[1, T]`` int64.
        position_ids: ``[1, T]`` int64, restarting at each row.
        cu_seqlens: ``[rows + 1]`` int32, where each row starts, and T.
        row_lengths: Tokens of each row, on the host; on a CPU the last may be a filler without labels.
        targets: ``[T]`` int64, the next token's label; -100 where none is trained.
        labelled_rows: ``[N]`` int64, positions of ``targets`` that are trained: finding them on a GPU would make
            the host wait for it.
    """

    input_ids: Tensor
    position_ids: Tensor
    cu_seqlens: Tensor
    row_lengths: tuple[int, ...]
    targets: Tensor
    labelled_rows: Tensor


def pack(rows: Sequence[Row], device: torch.device | str) -> PackedBatch:
    """Put rows end to end.

    Args:
        rows: ``input_ids`` and ``labels`` of the same length.
        device: Where the tensors go.
    """
    filler = -sum(len(row["input_ids"]) for row in rows) % CPU_MULTIPLE
    if filler and torch.device(device).type == "cpu":
        rows = [*rows, {"input_ids": [0] * filler, "labels": [IGNORE_INDEX] * filler}]
    lengths = [len(row["input_ids"]) for row in rows]
    ids = torch.tensor([token for row in rows for token in row["input_ids"]])
    targets = torch.tensor([label for row in rows for label in [*row["labels"][1:], IGNORE_INDEX]])
    tensors = (
        ids[None],
        torch.cat([torch.arange(length) for length in lengths])[None],
        torch.tensor([0, *accumulate(lengths)], dtype=torch.int32),
        targets,
        (targets != IGNORE_INDEX).nonzero().squeeze(1),
    )
    ids, positions, cu_seqlens, targets, labelled = (t.to(device, non_blocking=True) for t in tensors)
    return PackedBatch(ids, positions, cu_seqlens, tuple(lengths), targets, labelled)


def count_trained_tokens(rows: Sequence[Row]) -> int:
    """Labels that are trained; a row's first token has nothing before it and is none."""
    return sum(label != IGNORE_INDEX for row in rows for label in row["labels"][1:])


def split_rows(rows: Sequence[Row], max_rows: int, max_tokens: int | None = None) -> Iterator[list[Row]]:
    """Cut the rows of an optimiser step into micro-batches, in order.

    Args:
        rows: Rows of the step.
        max_rows: Most rows of a micro-batch.
        max_tokens: Most tokens of it; a longer row stands alone. None is no limit.
    """
    part: list[Row] = []
    tokens = 0
    for row in rows:
        length = len(row["input_ids"])
        if part and (len(part) == max_rows or (max_tokens is not None and tokens + length > max_tokens)):
            yield part
            part, tokens = [], 0
        part.append(row)
        tokens += length
    if part:
        yield part


def halves(rows: list[Row]) -> list[list[Row]]:
    """Two halves of a micro-batch that ran out of memory; a single row stays one."""
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]] if middle else [rows]
