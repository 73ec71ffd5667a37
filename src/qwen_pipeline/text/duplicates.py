"""Exact and near duplicates among all rows, with what is needed of each row on disk.

A row costs 16 bytes of content digest, 256 bytes of bands, its plain text and a few bytes of outcome, all in files;
one partition of one column is read and sorted at a time, so memory hardly grows with the rows.

Order decides who stays: test before validation before training, then the order of the files. So a training row
that is nearly the same as a held-out row goes, never the other way round.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.clean_batch import Sketches
from qwen_pipeline.text.likeness import BANDS, Hashes, jaccard, n_grams, same_numbers
from qwen_pipeline.text.plain_text_file import PlainTextFile

KEPT, EXACT, NEAR, OF_HELDOUT = 0, 1, 2, 3
_ROWS_PER_PARTITION = 500_000
_MOST_RIVALS = 64
_GRAMS_HELD = 1024
_PAIRS_HELD = 100_000
_BAND_FILES = tuple(f"band-{band:02d}" for band in range(BANDS))
Grams = tuple[str, Hashes, Hashes]
Compare = Callable[[int, int], tuple[float, float] | None]


class RowIndex:
    """What duplicates are found by, one entry a row, in files below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: (folder / name).open("wb") for name in ("keys", "splits", *_BAND_FILES)}
        self.texts = PlainTextFile(folder / "plain_texts")
        self.rows = 0

    def add(self, keys: NDArray[np.uint64], splits: NDArray[np.uint8], sketches: Sketches | None) -> None:
        """Append a batch of rows.

        Args:
            keys: Content digests, shape [rows, 2].
            splits: 0 test, 1 validation, 2 train; shape [rows].
            sketches: What near duplicates are found by; None where they are not asked for.
        """
        keys.tofile(self._files["keys"])
        splits.tofile(self._files["splits"])
        if sketches is not None:
            self.texts.write(sketches.texts, sketches.sizes)
            for name, column in zip(_BAND_FILES, sketches.bands.T, strict=True):
                np.ascontiguousarray(column).tofile(self._files[name])
        self.rows += len(splits)

    def finish(self) -> None:
        """Close the files and prepare the outcome: every row kept, none the duplicate of another."""
        for file in self._files.values():
            file.close()
        self.texts.finish()
        self.keys = self._map("keys", np.uint64, (self.rows, 2))
        self.splits = self._map("splits", np.uint8, (self.rows,))
        self.outcome = self._map("outcome", np.uint8, (self.rows,))
        self.original = self._map("original", np.int64, (self.rows,))
        self.likeness = self._map("likeness", np.float32, (self.rows, 2))

    def equal_bands(self, band: int) -> Iterator[list[int]]:
        """Groups of rows that are still kept and share a band."""
        path = self._folder / _BAND_FILES[band]
        return _equal_rows(lambda start, count: np.fromfile(path, np.uint64, count, offset=8 * start), self)

    def equal_keys(self) -> Iterator[list[int]]:
        """Groups of rows that share the first half of their content digest."""
        return _equal_rows(lambda start, count: np.array(self.keys[start : start + count, 0]), self)

    def mark(self, row: int, outcome: int, original: int, question: float, answer: float) -> None:
        """Record that ``row`` is a duplicate of ``original``."""
        self.outcome[row], self.original[row] = outcome, original
        self.likeness[row] = question, answer

    def close(self) -> None:
        """Remove what is needed no more."""
        self.texts.close()
        for name in self._files:
            (self._folder / name).unlink()

    def _map(self, name: str, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
        if not self.rows:
            return np.zeros(shape, dtype=kind)
        path = self._folder / name
        return np.memmap(path, dtype=kind, mode="r+" if path.exists() else "w+", shape=shape)


def mark_exact(index: RowIndex) -> None:
    """Mark every row whose content another row has that comes before it."""
    for group in index.equal_keys():
        originals: dict[int, int] = {}
        for row in group:
            second = int(index.keys[row, 1])
            if second in originals:
                index.mark(row, EXACT, originals[second], 1.0, 1.0)
            else:
                originals[second] = row


def mark_near(index: RowIndex, threshold: float) -> None:
    """Mark every row whose question and answer are both nearly those of a row that comes before it.

    Rows that share a band are compared exactly, on their n-grams, and never by their sketch alone.

    Args:
        index: The rows, exact duplicates already marked.
        threshold: Least share of common n-grams, of questions and of answers apart.
    """

    @lru_cache(maxsize=_GRAMS_HELD)
    def grams_of(row: int) -> Grams:
        question, answer = index.texts.read(row)
        return question, n_grams(question), n_grams(answer)

    @lru_cache(maxsize=_PAIRS_HELD)
    def alike(one: int, other: int) -> tuple[float, float] | None:
        return _alike(grams_of(one), grams_of(other), threshold)

    for band in range(BANDS):
        for group in index.equal_bands(band):
            _compare_group(group, index, alike)


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


def _alike(one: Grams, other: Grams, threshold: float) -> tuple[float, float] | None:
    """Likeness of questions and of answers, if both reach the threshold and the questions' numbers are equal."""
    question = jaccard(one[1], other[1])
    if question < threshold or not same_numbers(one[0], other[0]):
        return None
    answer = jaccard(one[2], other[2])
    return (question, answer) if answer >= threshold else None


def _equal_rows(read: Callable[[int, int], Hashes], index: RowIndex) -> Iterator[list[int]]:
    """Groups of rows still kept that have the same value, each group in the order that decides who stays.

    Args:
        read: Gives the values of ``count`` rows from ``start``.
        index: The rows.
    """
    partitions = max(1, -(-index.rows // _ROWS_PER_PARTITION))
    for partition in range(partitions):
        rows, values = _partition(read, index, partition, partitions)
        order = np.argsort(values, kind="stable")
        rows, values = rows[order], values[order]
        same = np.append(values[1:] == values[:-1], False)
        starts = np.flatnonzero(same & ~np.append(False, same[:-1]))
        ends = np.flatnonzero(~same & np.append(False, same[:-1])) + 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            group = rows[start:end].tolist()
            yield [row for row in group if index.outcome[row] == KEPT]


def _partition(
    read: Callable[[int, int], Hashes], index: RowIndex, partition: int, partitions: int
) -> tuple[NDArray[np.int64], Hashes]:
    """Rows of one partition that are still kept, test before validation before training, with their values."""
    found_rows, found_values = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    for start in range(0, index.rows, _ROWS_PER_PARTITION):
        values = read(start, min(_ROWS_PER_PARTITION, index.rows - start))
        chosen = index.outcome[start : start + len(values)] == KEPT
        if partitions > 1:
            chosen &= values % np.uint64(partitions) == partition
        at = np.flatnonzero(chosen)
        found_rows.append(at + start)
        found_values.append(values[at])
    rows, values = np.concatenate(found_rows), np.concatenate(found_values)
    order = np.argsort(index.splits[rows], kind="stable")
    return rows[order], values[order]
