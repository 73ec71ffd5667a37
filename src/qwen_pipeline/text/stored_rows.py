"""Rows on disk that are read again: all of them in order, or the place of one of them.

The texts are read by batch and never mapped into memory, where they would stay; only the few columns that say
where a row comes from are.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

_PLACE = ("example_id", "source_file", "source_line", "split")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row comes from and which split it is in."""

    example_id: str
    source_file: str
    source_line: int
    split: str


class StoredRows:
    """Two Arrow files: written in batches once, then read.

    Args:
        path: The file of all columns.
        schema: Its columns.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._places_path = path, path.with_suffix(".places")
        self._starts: list[int] = []
        self._rows = 0
        self._writer = pa.ipc.new_file(str(path), schema)
        places = pa.schema([schema.field(name) for name in _PLACE])
        self._places_writer = pa.ipc.new_file(str(self._places_path), places)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        if batch.num_rows:
            self._starts.append(self._rows)
            self._rows += batch.num_rows
            self._writer.write_batch(batch)
            self._places_writer.write_batch(batch.select(_PLACE))

    def finish(self) -> None:
        """End writing and open the files for reading."""
        self._writer.close()
        self._places_writer.close()
        self._file = pa.OSFile(str(self._path))
        self._reader = pa.ipc.open_file(self._file)
        self._map = pa.memory_map(str(self._places_path))
        self._places = pa.ipc.open_file(self._map)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in order."""
        for number in range(len(self._starts)):
            yield self._reader.get_batch(number)

    def place(self, at: int) -> Place:
        """Where one row comes from."""
        number = bisect_right(self._starts, at) - 1
        batch = self._places.get_batch(number)
        return Place(*(batch.column(name)[at - self._starts[number]].as_py() for name in _PLACE))

    def close(self) -> None:
        """Close and remove the files."""
        for source, path in ((self._file, self._path), (self._map, self._places_path)):
            source.close()
            path.unlink()
