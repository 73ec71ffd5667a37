"""Parquet tables, written and read in bounded batches.

kedro-datasets' Parquet classes go through pandas or return another type than they saved; here a table
may be larger than memory.
"""

import shutil
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kedro_datasets._typing import TablePreview

from qwen_pipeline.datasets.versioned import AtomicDataset
from qwen_pipeline.incremental.workspace import is_work

if TYPE_CHECKING:
    import pyarrow.dataset as ds

TableLike: TypeAlias = Any  # pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch] | Path


class ParquetTableDataset(AtomicDataset[TableLike, "ds.Dataset"]):
    """One Parquet file a version.

    Saves a ``pyarrow.Table``, a ``RecordBatchReader``, an iterable of record batches, or the ``Path`` of a
    finished Parquet file (moved into place if the running node made it). Loads a ``pyarrow.dataset.Dataset``.
    """

    def write(self, data: TableLike, path: Path) -> None:
        """Write one Parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if isinstance(data, Path):
            (shutil.move if is_work(data) else shutil.copyfile)(data, path)
            return
        if isinstance(data, pa.Table):
            pq.write_table(data, path, compression="zstd")
            return
        batches = iter(data)
        first = [] if isinstance(data, pa.RecordBatchReader) else list(islice(batches, 1))
        known = first[0] if first else data
        if not hasattr(known, "schema"):
            raise ValueError("No batch says which columns there are: give a table or a RecordBatchReader.")
        with pq.ParquetWriter(path, known.schema, compression="zstd") as writer:
            for batch in chain(first, batches):
                writer.write_batch(batch)

    def read(self, path: Path) -> "ds.Dataset":
        """Open the file; nothing is read until batches are asked for."""
        import pyarrow.dataset as ds  # brings pandas: not for a command that only looks at versions

        return ds.dataset(path, format="parquet")

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        import pyarrow.parquet as pq

        batch = next(pq.ParquetFile(self._get_load_path()).iter_batches(batch_size=nrows), None)
        rows = batch.to_pylist() if batch is not None else []
        columns = list(rows[0]) if rows else []
        data = [[_shown(row[name]) for name in columns] for row in rows]
        return TablePreview({"index": list(range(len(rows))), "columns": columns, "data": data})


def _shown(value: Any) -> Any:
    """A cell as JSON can hold it; nested values as text."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
