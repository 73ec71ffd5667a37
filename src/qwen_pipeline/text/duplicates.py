"""Exact and near duplicates among all rows, with what is needed of each row on disk.

A row costs 16 bytes of content digest, 256 bytes of bands and a few bytes of outcome, all in files that are
mapped into memory; one partition of one column is sorted at a time, so memory does not grow with the rows.

Order decides who stays: test before validation before training, then the order of the files. So a training row
that is nearly the same as a held-out row goes, never the other way round.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.likeness import BANDS, jaccard, n_grams, plain, same_numbers

KEPT, EXACT, NEAR, OF_HELDOUT = 0, 1, 2, 3
_ROWS_PER_PARTITION = 500_000
_MOST_RIVALS = 64
_GRAMS_HELD = 1024
_PAIRS_HELD = 200_000
ReadRow = Callable[[int], tuple[str, str]]
Compare = Callable[[int, int], tuple[float, float] | None]
Grams = tuple[str, frozenset[str], frozenset[str]]


class RowIndex:
    """What duplicates are found by, one entry a row, in files below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: (folder / name).open("wb") for name in ("keys", "splits", "bands")}
        self.rows = 0

    def add(
        self, keys: NDArray[np.uint64], splits: NDArray[np.uint8], bands: NDArray[np.uint64] | None
    ) -> None:
        """Append a batch of rows.

        Args:
            keys: Content digests, shape [rows, 2].
            splits: 0 test, 1 validation, 2 train; shape [rows].
            bands: What ``sketch_rows`` gives, shape [rows, BANDS]; None where near duplicates are not asked for.
        """
        keys.tofile(self._files["keys"])
        splits.tofile(self._files["splits"])
        if bands is not None:
            bands.tofile(self._files["bands"])
        self.rows += len(splits)

    def finish(self) -> None:
        """Close the files and prepare the outcome: every row kept, none the duplicate of another."""
        for file in self._files.values():
            file.close()
        self.keys = self._map("keys", np.uint64, (self.rows, 2))
        self.splits = self._map("splits", np.uint8, (self.rows,))
        self.outcome = self._map("outcome", np.uint8, (self.rows,))
        self.original = self._map("original", np.int64, (self.rows,))
        self.likeness = self._map("likeness", np.float32, (self.rows, 2))

    def bands(self) -> NDArray[np.uint64]:
        """The bands, shape [rows, BANDS]."""
        return cast(NDArray[np.uint64], self._map("bands", np.uint64, (self.rows, BANDS)))

    def mark(self, row: int, outcome: int, original: int, question: float, answer: float) -> None:
        """Record that ``row`` is a duplicate of ``original``."""
        self.outcome[row], self.original[row] = outcome, original
        self.likeness[row] = question, answer

    def _map(self, name: str, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
        if not self.rows:
            return np.zeros(shape, dtype=kind)
        path = self._folder / name
        return np.memmap(path, dtype=kind, mode="r+" if path.exists() else "w+", shape=shape)


def mark_exact(index: RowIndex) -> None:
    """Mark every row whose content another row has that comes before it."""
    for group in _equal_rows(index.keys[:, 0], index):
        originals: dict[int, int] = {}
        for row in group:
            second = int(index.keys[row, 1])
            if second in originals:
                index.mark(row, EXACT, originals[second], 1.0, 1.0)
            else:
                originals[second] = row


def mark_near(index: RowIndex, read_row: ReadRow, threshold: float) -> None:
    """Mark every row whose question and answer are both nearly those of a row that comes before it.

    Rows that share a band are compared exactly, on their n-grams, and never by their sketch alone.

    Args:
        index: The rows, exact duplicates already marked.
        read_row: Gives question and answer of a row.
        threshold: Least share of common n-grams, of questions and of answers apart.
    """
    bands = index.bands()

    @lru_cache(maxsize=_GRAMS_HELD)
    def grams_of(row: int) -> Grams:
        return _grams(read_row(row))

    @lru_cache(maxsize=_PAIRS_HELD)
    def alike(one: int, other: int) -> tuple[float, float] | None:
        return _alike(grams_of(one), grams_of(other), threshold)

    for band in range(BANDS):
        for group in _equal_rows(bands[:, band], index):
            _compare_group([row for row in group if index.outcome[row] == KEPT], index, alike)


def _compare_group(group: list[int], index: RowIndex, alike: Compare) -> None:
    rivals = group[:1]
    for row in group[1:]:
        match = next(((rival, like) for rival in rivals if (like := alike(rival, row))), None)
        if match is None:
            if len(rivals) < _MOST_RIVALS:
                rivals.append(row)
            continue
        original, (question, answer) = match
        same_split = index.splits[original] == index.splits[row]
        index.mark(row, NEAR if same_split else OF_HELDOUT, original, question, answer)


def _grams(texts: tuple[str, str]) -> Grams:
    question = plain(texts[0])
    return question, n_grams(question), n_grams(plain(texts[1]))


def _alike(one: Grams, other: Grams, threshold: float) -> tuple[float, float] | None:
    """Likeness of questions and of answers, if both reach the threshold and the questions' numbers are equal."""
    question = jaccard(one[1], other[1])
    if question < threshold or not same_numbers(one[0], other[0]):
        return None
    answer = jaccard(one[2], other[2])
    return (question, answer) if answer >= threshold else None


def _equal_rows(column: NDArray[np.uint64], index: RowIndex) -> Iterator[list[int]]:
    """Groups of rows still kept that have the same value, each group in the order that decides who stays."""
    partitions = max(1, -(-index.rows // _ROWS_PER_PARTITION))
    for partition in range(partitions):
        rows = _rows_of_partition(column, partition, partitions)
        values = column[rows]
        order = np.lexsort((rows, index.splits[rows], values))
        rows, values = rows[order], values[order]
        changes = np.flatnonzero(values[1:] != values[:-1]) + 1
        starts, ends = np.append([0], changes), np.append(changes, len(rows))
        for at in np.flatnonzero(ends - starts > 1):
            yield [int(row) for row in rows[starts[at] : ends[at]]]


def _rows_of_partition(column: NDArray[np.uint64], partition: int, partitions: int) -> NDArray[np.int64]:
    if partitions == 1:
        return np.arange(len(column))
    found = []
    for start in range(0, len(column), _ROWS_PER_PARTITION):
        chunk = np.asarray(column[start : start + _ROWS_PER_PARTITION]) % np.uint64(partitions)
        found.append(np.flatnonzero(chunk == partition) + start)
    return np.concatenate(found)
