"""The plain questions and answers of a part's rows in one file, read back row by row."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.clean_batch import Sketches


class PlainTextFile:
    """Texts on disk; only where each ends is kept in memory.

    Args:
        path: The file; another beside it holds the texts' sizes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @staticmethod
    def write(path: Path, sketches: Sequence[Sketches]) -> None:
        """Write the texts of some batches."""
        with path.open("wb") as file:
            for sketch in sketches:
                file.write(sketch.texts)
        np.concatenate([sketch.sizes for sketch in sketches]).tofile(_sizes_path(path))

    def read(self, row: int) -> tuple[str, str]:
        """Question and answer of a row."""
        start = int(self._ends[2 * row - 1]) if row else 0
        middle, end = int(self._ends[2 * row]), int(self._ends[2 * row + 1])
        with self._path.open("rb", buffering=0) as file:
            file.seek(start)
            text = file.read(end - start)
        return text[: middle - start].decode(), text[middle - start :].decode()

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(np.fromfile(_sizes_path(self._path), np.int32), dtype=np.int64)


def _sizes_path(path: Path) -> Path:
    return path.with_suffix(".sizes")
