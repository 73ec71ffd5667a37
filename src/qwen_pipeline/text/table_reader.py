"""Parquet tables read batch by batch.

A dataset's own scanner reads ahead up to the whole file, so that memory would grow with the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Table = Any  # a pyarrow.dataset.Dataset, whose module brings pandas when it is imported
ROWS_PER_BATCH = 1024


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of a Parquet file."""

    file: str
    number: int


def row_groups(table: Table) -> list[RowGroup]:
    """The row groups of ``table`` in order."""
    return [
        RowGroup(path, number)
        for path in table.files
        for number in range(pq.read_metadata(path).num_row_groups)
    ]


def read_group(group: RowGroup, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[pa.RecordBatch]:
    """The rows of a row group in batches of at most ``rows_per_batch``."""
    with pq.ParquetFile(group.file, pre_buffer=False) as file:
        yield from file.iter_batches(rows_per_batch, row_groups=[group.number], use_threads=False)


def read_batches(table: Table, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of ``table`` in order, in batches of at most ``ROWS_PER_BATCH``, one row group in memory.

    Args:
        table: Parquet files, or a table in memory.
        columns: The columns to read.
    """
    if not hasattr(table, "files"):
        yield from table.to_batches(columns=columns, batch_size=ROWS_PER_BATCH)
        return
    for path in table.files:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(ROWS_PER_BATCH, columns=columns, use_threads=False)
