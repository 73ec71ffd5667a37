"""Rows into a Parquet file, or into an Arrow stream on their way to the process that joins them, in bounded batches."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_BATCH = 4096
BYTES_PER_BATCH = 8 * 2**20
CHARACTERS_PER_BATCH = 4 * 2**20  # so that a batch of long texts takes no more memory than one of short ones


class TableWriter:
    """A Parquet file that grows row by row or batch by batch, while memory does not.

    A row group is compressed and written by a thread of its own while the next one is collected.

    Args:
        path: The file to write.
        schema: Its columns.
        rows_per_batch: Rows that are held before they are written as one row group.
    """

    def __init__(self, path: Path, schema: pa.Schema, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema
        self._rows_per_batch = rows_per_batch
        self._held: list[Mapping[str, Any]] = []
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) >= self._rows_per_batch:
            self._flush_rows()
            self._flush_batches()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add a batch of rows; small ones wait for each other, so that row groups do not become many."""
        self._flush_rows()
        if batch.num_rows:
            self.rows += batch.num_rows
            self._hold(batch)
        if self._waiting_rows >= self._rows_per_batch or self._waiting_bytes >= BYTES_PER_BATCH:
            self._flush_batches()

    def close(self) -> Path:
        """Write what is held and the footer; a table without rows is a valid file too."""
        try:
            self._flush_rows()
            self._flush_batches()
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()
        return self.path

    def _flush_rows(self) -> None:
        if self._held:
            self._hold(pa.RecordBatch.from_pylist(self._held, schema=self._schema))
            self._held = []

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes

    def _flush_batches(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._waiting = []
            self._waiting_rows = self._waiting_bytes = 0
            self._wait()
            self._writing = self._thread.submit(self._write_table, table)

    def _write_table(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def _wait(self) -> None:
        """Until the row group before is written; raises what its writing raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
