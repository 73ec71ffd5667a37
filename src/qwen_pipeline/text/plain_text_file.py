"""The plain questions and answers of all rows in one file, read back row by row."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class PlainTextFile:
    """Appended to batch by batch, then read by row number; only where each text ends is kept in memory.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._sizes: list[NDArray[np.int32]] = []

    def write(self, texts: bytes, sizes: NDArray[np.int64]) -> None:
        """Append rows.

        Args:
            texts: Question and answer of each row in UTF-8, one after another.
            sizes: Their bytes, shape [2 * rows].
        """
        self._file.write(texts)
        self._sizes.append(sizes.astype(np.int32))

    def finish(self) -> None:
        """End writing."""
        self._file.flush()
        sizes = np.concatenate(self._sizes) if self._sizes else np.zeros(0, dtype=np.int64)
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._sizes.clear()

    def read(self, row: int) -> tuple[str, str]:
        """Question and answer of a row."""
        start = int(self._ends[2 * row - 1]) if row else 0
        middle, end = int(self._ends[2 * row]), int(self._ends[2 * row + 1])
        text = os.pread(self._file.fileno(), end - start, start)
        return text[: middle - start].decode(), text[middle - start :].decode()

    def close(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self._path.unlink()


def to_utf8(codes: NDArray[np.uint32], lengths: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]:
    """Texts given as code points, as ``PlainTextFile.write`` takes them.

    Args:
        codes: One text after another.
        lengths: Their lengths in characters.
    """
    widths = np.ones(len(codes), dtype=np.uint8)
    for first in (0x80, 0x800, 0x10000):
        widths += codes >= first
    ends = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])[np.cumsum(lengths)]
    return codes.tobytes().decode("utf-32-le").encode(), np.diff(ends, prepend=0)
