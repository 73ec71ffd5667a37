"""Exact and near duplicates among all rows, with what is needed of each row on disk.

A row costs 256 bytes of bands, its plain text and 16 bytes of outcome in files, and 2 bytes in memory (its split, and
what became of it); one partition of one band is read and sorted at a time, so memory hardly grows with the rows.

Order decides who stays: test before validation before training, then the order of the files. So a training row
that is nearly the same as a held-out row goes, never the other way round.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.clean_part import CleanPart, Place
from qwen_pipeline.text.likeness import BANDS, Codes, Hashes, jaccard, n_grams, numbers_in

KEPT, EXACT, NEAR, OF_HELDOUT = 0, 1, 2, 3
_ROWS_PER_PARTITION = 500_000
_MOST_RIVALS = 64  # of one group that ask about the same numbers; more of them that are all unlike are chance
_GRAMS_HELD = 1024
_PAIRS_HELD = 100_000
Grams = tuple[list[str], Hashes, Hashes]  # a question's numbers and n-grams, its answer's n-grams
ReadColumn = Callable[[CleanPart], Hashes]
Compare = Callable[[int, int], tuple[float, float] | None]
NumbersOf = Callable[[int], tuple[str, ...]]


class RowIndex:
    """All rows of all parts by their number, and what became of each: kept at first, no duplicate of another.

    Args:
        folder: For the outcomes.
        parts: The clean rows.
    """

    def __init__(self, folder: Path, parts: Sequence[CleanPart]) -> None:
        self._folder, self.parts = folder, parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.rows = int(self._starts[-1])
        self.splits = np.concatenate([np.zeros(0, dtype=np.uint8), *(part.splits for part in parts)])
        self.outcome = np.zeros(self.rows, dtype=np.uint8)
        self.original = self._spilled("original", np.int64, (self.rows,))
        self.likeness = self._spilled("likeness", np.float32, (self.rows, 2))

    def equal_bands(self, band: int) -> Iterator[list[int]]:
        """Groups of rows that are still kept and share a band."""
        return _equal_rows(self, lambda part: part.band(band))

    def equal_keys(self) -> Iterator[list[int]]:
        """Groups of rows that share the first half of their content digest."""
        return _equal_rows(self, lambda part: part.keys[:, 0])

    def second_key(self, row: int) -> int:
        """The second half of a row's content digest."""
        part, at = self._find(row)
        return int(part.keys[at, 1])

    def texts(self, row: int) -> tuple[Codes, Codes]:
        """A row's plain question and answer, as code points."""
        part, at = self._find(row)
        return part.texts.read(at)

    def place(self, row: int) -> Place:
        """Where a row comes from."""
        part, at = self._find(row)
        return part.place(at)

    def _find(self, row: int) -> tuple[CleanPart, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[number], row - int(self._starts[number])

    def mark(self, row: int, outcome: int, original: int, question: float, answer: float) -> None:
        """Record that ``row`` is a duplicate of ``original``."""
        self.outcome[row], self.original[row] = outcome, original
        self.likeness[row] = question, answer

    def close(self) -> None:
        """Remove the outcomes from disk."""
        for name in ("original", "likeness"):
            (self._folder / name).unlink(missing_ok=True)

    def _spilled(self, name: str, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
        if not self.rows:
            return np.zeros(shape, dtype=kind)
        return np.memmap(self._folder / name, dtype=kind, mode="w+", shape=shape)


def mark_exact(index: RowIndex) -> None:
    """Mark every row whose content another row has that comes before it."""
    for group in index.equal_keys():
        originals: dict[int, int] = {}
        for row in group:
            second = index.second_key(row)
            if second in originals:
                index.mark(row, EXACT, originals[second], 1.0, 1.0)
            else:
                originals[second] = row


def mark_near(index: RowIndex, threshold: float, heldout_first: bool = False) -> None:
    """Mark every row whose question and answer are both nearly those of a row that comes before it.

    Rows that share a band are compared exactly, on their n-grams, and never by their sketch alone.

    Args:
        index: The rows, exact duplicates already marked.
        threshold: Least share of common n-grams, of questions and of answers apart.
        heldout_first: Whether rows that are near others of their split stay: then each must have met every held-out row
            before it is called near another.
    """

    @lru_cache(maxsize=_GRAMS_HELD)
    def grams_of(row: int) -> Grams:
        question, answer = index.texts(row)
        return numbers_in(question), n_grams(question), n_grams(answer)

    @lru_cache(maxsize=_PAIRS_HELD)
    def alike(one: int, other: int) -> tuple[float, float] | None:
        return _alike(grams_of(one), grams_of(other), threshold)

    for across_splits in (True, False) if heldout_first else (False,):
        for band in range(BANDS):
            for group in index.equal_bands(band):
                _compare_group(group, index, alike, lambda row: tuple(grams_of(row)[0]), across_splits)


def _compare_group(
    group: list[int], index: RowIndex, alike: Compare, numbers_of: NumbersOf, across_splits: bool
) -> None:
    """Compare the rows of a group with those before them, or only with those of other splits.

    Rows whose questions name other numbers are never alike, so a template with many numbers does not crowd out its copies.
    """
    rivals_by_numbers: dict[tuple[str, ...], list[int]] = {}
    for row in group:
        rivals = rivals_by_numbers.setdefault(numbers_of(row), [])
        others = (one for one in rivals if not across_splits or index.splits[one] != index.splits[row])
        match = next(((rival, like) for rival in others if (like := alike(rival, row))), None)
        if match is None:
            if len(rivals) < _MOST_RIVALS:
                rivals.append(row)
            continue
        original, (question, answer) = match
        same_split = index.splits[original] == index.splits[row]
        index.mark(row, NEAR if same_split else OF_HELDOUT, original, question, answer)


def _alike(one: Grams, other: Grams, threshold: float) -> tuple[float, float] | None:
    """Likeness of questions and of answers, if both reach the threshold; a question with other numbers is another task."""
    question = jaccard(one[1], other[1])
    if question < threshold or one[0] != other[0]:
        return None
    answer = jaccard(one[2], other[2])
    return (question, answer) if answer >= threshold else None


def _equal_rows(index: RowIndex, read: ReadColumn) -> Iterator[list[int]]:
    """Groups of rows still kept that have the same value, each group in the order that decides who stays.

    Args:
        index: The rows.
        read: Gives the values of a part's rows.
    """
    partitions = max(1, -(-index.rows // _ROWS_PER_PARTITION))
    for partition in range(partitions):
        rows, values = _partition(index, read, partition, partitions)
        # Not stable, and five times as fast as one that is; a group is put in order below.
        order = np.argsort(values)
        values = values[order]
        same = np.append(values[1:] == values[:-1], False)
        starts = np.flatnonzero(same & ~np.append(False, same[:-1]))
        ends = np.flatnonzero(~same & np.append(False, same[:-1])) + 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            group = rows[np.sort(order[start:end])].tolist()
            yield [row for row in group if index.outcome[row] == KEPT]


def _partition(
    index: RowIndex, read: ReadColumn, partition: int, partitions: int
) -> tuple[NDArray[np.int64], Hashes]:
    """Rows of one partition that are still kept, test before validation before training, with their values."""
    found_rows, found_values = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    start = 0
    for part in index.parts:
        values = read(part) if len(part) else found_values[0]
        chosen = index.outcome[start : start + len(part)] == KEPT
        if partitions > 1:
            chosen &= values % np.uint64(partitions) == partition
        at = np.flatnonzero(chosen)
        found_rows.append(at + start)
        found_values.append(values[at])
        start += len(part)
    rows, values = np.concatenate(found_rows), np.concatenate(found_values)
    order = np.argsort(index.splits[rows], kind="stable")
    return rows[order], values[order]
