"""Tables are written in batches, however few there are."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from qwen_pipeline.datasets.table import ParquetTableDataset

SCHEMA = pa.schema([("example_id", pa.string())])


def batches(count: int) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        yield pa.RecordBatch.from_pylist([{"example_id": str(number)}], schema=SCHEMA)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_reader_gives_its_columns_even_without_a_batch(tmp_path: Path, count: int) -> None:
    dataset = ParquetTableDataset(filepath=str(tmp_path / "rows.parquet"))
    dataset.write(pa.RecordBatchReader.from_batches(SCHEMA, batches(count)), tmp_path / "rows")
    table = dataset.read(tmp_path / "rows").to_table()
    assert table.schema.equals(SCHEMA)
    assert table["example_id"].to_pylist() == [str(number) for number in range(count)]


def test_any_batches_are_written_in_order(tmp_path: Path) -> None:
    dataset = ParquetTableDataset(filepath=str(tmp_path / "rows.parquet"))
    dataset.write(batches(3), tmp_path / "rows")
    assert dataset.read(tmp_path / "rows").to_table()["example_id"].to_pylist() == ["0", "1", "2"]


def test_no_batch_at_all_is_told_with_what_to_give_instead(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RecordBatchReader"):
        ParquetTableDataset(filepath=str(tmp_path / "rows.parquet")).write(batches(0), tmp_path / "rows")
