"""Micro-batches without padding: rows end to end, positions restarting, attention kept within each row."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

IGNORE_INDEX = -100


@dataclass(frozen=True)
class PackedBatch:
    """Several rows as one sequence of T tokens.

    Attributes:
        input_ids: ``[1, T]`` int64.
        position_ids: ``[1, T]`` int64, restarting at each row.
        mask: ``[1, 1, T, T]`` bool, true where a token may look: earlier tokens of its own row.
        targets: ``[T]`` int64, the next token's label; -100 where none is trained.
        example_ids: The rows.
    """

    input_ids: Tensor
    position_ids: Tensor
    mask: Tensor
    targets: Tensor
    example_ids: tuple[str, ...]


def pack(rows: Sequence[Mapping[str, Any]], device: torch.device | str) -> PackedBatch:
    """Put rows end to end."""
    lengths = [len(row["input_ids"]) for row in rows]
    ids = torch.tensor([token for row in rows for token in row["input_ids"]])
    positions = torch.cat([torch.arange(length) for length in lengths])
    owner = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(lengths))
    total = ids.numel()
    mask = (owner[:, None] == owner[None, :]) & torch.ones(total, total, dtype=torch.bool).tril()
    targets = torch.tensor([label for row in rows for label in [*row["labels"][1:], IGNORE_INDEX]])
    return PackedBatch(
        ids[None].to(device), positions[None].to(device), mask[None, None].to(device), targets.to(device),
        tuple(row["example_id"] for row in rows),
    )  # fmt: skip


def optimiser_steps(rows: int, per_step: int, epochs: float) -> int:
    """Optimiser steps of a training."""
    return max(1, math.ceil(math.ceil(rows / per_step) * epochs))


def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """The order of the rows in one epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(rows, generator=generator).tolist()


def step_rows(rows: int, per_step: int, steps: int, seed: int) -> Iterator[list[int]]:
    """Row numbers of each optimiser step, epoch after epoch."""
    done, epoch = 0, 0
    while done < steps:
        order = epoch_order(rows, seed, epoch)
        for start in range(0, rows, per_step):
            if done == steps:
                return
            yield order[start : start + per_step]
            done += 1
        epoch += 1


def split_rows(numbers: Sequence[int], batch_size: int) -> Iterator[Sequence[int]]:
    """Cut an optimiser step into micro-batches."""
    for start in range(0, len(numbers), batch_size):
        yield numbers[start : start + batch_size]
