"""Rows end to end: what is packed can be taken apart again, and nothing is trained that was not."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.chat.packing import (
    CPU_MULTIPLE,
    IGNORE_INDEX,
    PackedBatch,
    count_tokens,
    count_trained_tokens,
    pack,
    split_rows,
)

tokens = st.integers(0, 50)
row = st.lists(st.tuples(tokens, st.one_of(tokens, st.just(IGNORE_INDEX))), min_size=1, max_size=40).map(
    lambda pairs: {"input_ids": [a for a, _ in pairs], "labels": [b for _, b in pairs]}
)


@given(st.lists(row, min_size=1, max_size=5))
def test_every_row_is_found_at_its_place_with_its_own_positions(rows: list[dict[str, list[int]]]) -> None:
    batch = pack(rows, "cpu")
    starts = batch.cu_seqlens.tolist()
    for row, start, length in zip(rows, starts, batch.row_lengths, strict=False):
        assert batch.input_ids[0, start : start + length].tolist() == row["input_ids"]
        assert batch.position_ids[0, start : start + length].tolist() == list(range(length))
        assert batch.targets[start : start + length].tolist() == [*row["labels"][1:], IGNORE_INDEX]
    assert batch.labelled_rows.numel() == count_trained_tokens(rows)


@given(st.lists(row, min_size=1, max_size=5))
def test_on_a_cpu_a_filler_without_labels_rounds_the_tokens_up(rows: list[dict[str, list[int]]]) -> None:
    batch = pack(rows, "cpu")
    packed = sum(len(row["input_ids"]) for row in rows)
    assert batch.input_ids.numel() % CPU_MULTIPLE == 0
    assert batch.input_ids.numel() - packed < CPU_MULTIPLE
    assert sum(batch.row_lengths) == batch.input_ids.numel() == int(batch.cu_seqlens[-1])
    assert (batch.targets[packed:] == IGNORE_INDEX).all()


def test_on_another_device_nothing_is_filled() -> None:
    batch = pack([{"input_ids": [1, 2, 3], "labels": [IGNORE_INDEX, 2, 3]}], torch.device("meta"))
    assert (batch.input_ids.numel(), batch.row_lengths) == (3, (3,))


class NotOneByOne(np.ndarray):
    """An array whose elements nobody may walk over."""

    def __iter__(self):
        raise AssertionError("walked over element by element")


def same_batches(one: PackedBatch, other: PackedBatch) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all(
        a.dtype == b.dtype and torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs
    )


@given(st.lists(row, min_size=1, max_size=5), st.sampled_from([np.int32, np.int64]))
def test_arrays_and_tensors_give_the_batch_of_lists_without_a_walk_over_elements(
    rows: list[dict[str, list[int]]], dtype: type
) -> None:
    arrays = [{name: np.array(ids, dtype).view(NotOneByOne) for name, ids in row.items()} for row in rows]
    tensors = [{name: torch.tensor(ids) for name, ids in row.items()} for row in rows]
    assert same_batches(pack(rows, "cpu"), pack(arrays, "cpu"))
    assert same_batches(pack(rows, "cpu"), pack(tensors, "cpu"))
    assert count_trained_tokens(rows) == count_trained_tokens(arrays) == count_trained_tokens(tensors)


@pytest.mark.parametrize(("device", "rows_pinned", "pinned"), [
    ("meta", True, 5), ("meta", False, 0), ("cpu", True, 0),
])  # fmt: skip
def test_a_batch_for_a_card_is_pinned_where_its_rows_are(
    device: str, rows_pinned: bool, pinned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.Size] = []
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: rows_pinned)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append(tensor.shape) or tensor)
    ids = torch.tensor([1, 2, 3])
    pack([{"input_ids": ids, "labels": ids}], device)
    assert len(asked) == pinned


@given(st.lists(row, min_size=1, max_size=9), st.integers(1, 4), st.integers(1, 60))
def test_micro_batches_hold_every_row_once_in_order_and_keep_both_limits(
    rows: list[dict[str, list[int]]], max_rows: int, max_tokens: int
) -> None:
    parts = list(split_rows(rows, max_rows, max_tokens))
    assert [row for part in parts for row in part] == rows
    for part in parts:
        assert len(part) <= max_rows
        assert len(part) == 1 or count_tokens(part) <= max_tokens
    for part, following in pairwise(parts):
        assert len(part) == max_rows or count_tokens([*part, following[0]]) > max_tokens
