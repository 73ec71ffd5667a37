"""Rows on disk that can be read again one by one, mapped into memory."""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa


class StoredRows:
    """An Arrow file: written in batches once, then read by row number.

    Args:
        path: The file.
        schema: Its columns; ``messages`` is one of them.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._starts: list[int] = []
        self._rows = 0
        self._writer = pa.ipc.new_file(str(path), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        if batch.num_rows:
            self._starts.append(self._rows)
            self._rows += batch.num_rows
            self._writer.write_batch(batch)

    def finish(self) -> None:
        """End writing and open the file for reading."""
        self._writer.close()
        self._map = pa.memory_map(str(self._path))
        self._reader = pa.ipc.open_file(self._map)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in order."""
        for number in range(len(self._starts)):
            yield self._reader.get_batch(number)

    def row(self, at: int) -> dict[str, Any]:
        """One row."""
        number = bisect_right(self._starts, at) - 1
        found: dict[str, Any] = (
            self._reader.get_batch(number).slice(at - self._starts[number], 1).to_pylist()[0]
        )
        return found

    def question_and_answer(self, at: int) -> tuple[str, str]:
        """What was said before the last answer of a row (not the system's text), and that answer."""
        number = bisect_right(self._starts, at) - 1
        messages = self._reader.get_batch(number).column("messages")[at - self._starts[number]].as_py()
        said = [message["content"] for message in messages[:-1] if message["role"] != "system"]
        return "\n".join(said), messages[-1]["content"]

    def close(self) -> None:
        """Close and remove the file."""
        self._map.close()
        self._path.unlink()
