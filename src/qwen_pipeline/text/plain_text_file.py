"""The plain questions and answers of a part's rows in one file, read back row by row."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.clean_batch import Sketches
from qwen_pipeline.text.likeness import Codes


class PlainTextFile:
    """Texts on disk as code points; only where each ends is kept in memory.

    Args:
        path: The file; another beside it holds the texts' lengths.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @staticmethod
    def write(path: Path, sketches: Sequence[Sketches]) -> None:
        """Write the texts of some batches."""
        with path.open("wb") as file:
            for sketch in sketches:
                file.write(sketch.codes.tobytes())
        np.concatenate([sketch.lengths for sketch in sketches]).astype(np.int32).tofile(_sizes_path(path))

    def read(self, row: int) -> tuple[Codes, Codes]:
        """Question and answer of a row."""
        start = int(self._ends[2 * row - 1]) if row else 0
        middle, end = int(self._ends[2 * row]), int(self._ends[2 * row + 1])
        codes = np.fromfile(self._path, np.uint32, end - start, offset=4 * start)
        return codes[: middle - start], codes[middle - start :]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(np.fromfile(_sizes_path(self._path), np.int32), dtype=np.int64)


def _sizes_path(path: Path) -> Path:
    return path.with_suffix(".sizes")
