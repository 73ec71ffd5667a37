"""Micro-batches without padding: rows end to end, positions restarting, attention kept within each row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qwen_pipeline.chat import IGNORE_INDEX

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

    Rows in page-locked memory make a batch that goes to a card from there: the host does not wait for the copy.

    Args:
        rows: ``input_ids`` and ``labels`` of the same length, as lists, arrays or tensors on the host.
        device: Where the tensors go.
    """
    on_cpu = torch.device(device).type == "cpu"
    lengths = [len(row["input_ids"]) for row in rows]
    filler = -sum(lengths) % CPU_MULTIPLE if on_cpu else 0
    ids, labels = (end_to_end([row[name] for row in rows]) for name in ("input_ids", "labels"))
    if filler:
        lengths.append(filler)
        ids, labels = np.pad(ids, (0, filler)), np.pad(labels, (0, filler), constant_values=IGNORE_INDEX)
    ends = np.cumsum(lengths)
    targets = np.roll(labels, -1)
    targets[ends - 1] = IGNORE_INDEX  # what comes next is another row's
    arrays = (
        ids[None],
        (np.arange(len(ids)) - np.repeat(ends - lengths, lengths))[None],
        np.concatenate([[0], ends]).astype(np.int32),
        targets,
        np.flatnonzero(targets != IGNORE_INDEX),
    )
    tensors = (torch.from_numpy(array) for array in arrays)
    if not on_cpu and is_pinned(rows[0]):
        tensors = (tensor.pin_memory() for tensor in tensors)
    ids_1T, positions_1T, cu_seqlens, targets_T, labelled_N = (
        t.to(device, non_blocking=True) for t in tensors
    )
    return PackedBatch(ids_1T, positions_1T, cu_seqlens, tuple(lengths), targets_T, labelled_N)


def is_pinned(row: Row) -> bool:
    """Whether a row's tokens are in page-locked memory."""
    tokens = row["input_ids"]
    return isinstance(tokens, Tensor) and tokens.is_pinned()


def count_tokens(rows: Sequence[Row]) -> int:
    """All tokens of some rows."""
    return sum(len(row["input_ids"]) for row in rows)


def count_trained_tokens(rows: Sequence[Row]) -> int:
    """Labels that are trained; a row's first token has nothing before it and is none."""
    return sum(int(np.count_nonzero(np.asarray(row["labels"])[1:] != IGNORE_INDEX)) for row in rows)


def end_to_end(parts: Sequence[Any]) -> NDArray[np.int64]:
    """Token ids or labels of some rows, as lists, arrays or tensors on the host, in one array ``[tokens]``."""
    return np.concatenate([np.asarray(part, np.int64) for part in parts])


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
