"""Rows on their way to the process that joins them, as an Arrow stream in bounded batches."""

from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from qwen_pipeline.text.table_writer import ROWS_PER_BATCH

CHARACTERS_PER_BATCH = 4 * 2**20  # so that a batch of long texts takes no more memory than one of short ones


class StreamWriter:
    """An Arrow stream that grows row by row; `parts.read_stream` reads it back.

    Args:
        path: The file to write.
        schema: Its columns.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema, self._held, self._characters = schema, list[dict[str, Any]](), 0
        self._file = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._file, schema)

    def write(self, row: dict[str, Any], characters: int = 0) -> None:
        """Add one row, with about how many characters it holds."""
        self._held.append(row)
        self._characters += characters
        if len(self._held) >= ROWS_PER_BATCH or self._characters >= CHARACTERS_PER_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._stream.write_batch(pa.RecordBatch.from_pylist(self._held, schema=self._schema))
            self._held, self._characters = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._stream.close()
        self._file.close()
