"""Parquet tables, written and read in bounded batches.

kedro-datasets' Parquet classes go through pandas or return another type than they saved; here a table
may be larger than memory.
"""

import shutil
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from qwen_pipeline.datasets.versioned import AtomicDataset

TableLike: TypeAlias = Any  # pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch] | Path


class ParquetTableDataset(AtomicDataset[TableLike, ds.Dataset]):
    """One Parquet file a version.

    Saves a ``pyarrow.Table``, a ``RecordBatchReader``, an iterable of record batches, or the ``Path`` of a
    finished Parquet file, which is moved into place. Loads a ``pyarrow.dataset.Dataset``.
    """

    def write(self, data: TableLike, path: Path) -> None:
        """Write one Parquet file."""
        if isinstance(data, Path):
            shutil.move(data, path)
            return
        if isinstance(data, pa.Table):
            pq.write_table(data, path, compression="zstd")
            return
        batches = iter(data)
        first = next(batches)
        with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)

    def read(self, path: Path) -> ds.Dataset:
        """Open the file; nothing is read until batches are asked for."""
        return ds.dataset(path, format="parquet")
