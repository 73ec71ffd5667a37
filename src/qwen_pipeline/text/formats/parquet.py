"""Parquet tables, read by row group."""

import io
from collections.abc import Iterator

import pyarrow.parquet as pq

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.schema import RejectReason

_ROWS_AT_ONCE = 1024


@adapter(".parquet", ".pq", order=10)
def read_parquet(content: Content) -> Iterator[Row] | None:
    """The rows of a Parquet file; a row's line is its number."""
    return _read(content) if content.head.startswith(b"PAR1") else None


def _read(content: Content) -> Iterator[Row]:
    source = io.BytesIO(content.open().read()) if content.gzipped else str(content.file.path)
    number = 0
    with pq.ParquetFile(source) as table:
        for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                yield row_of_record(record, number, 0, content.column_map, content.tool_turns)
    if not number:
        yield refuse(1, RejectReason.EMPTY_FILE, "the table has no rows")
