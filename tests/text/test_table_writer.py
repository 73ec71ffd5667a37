"""Many small batches become few row groups, in time that grows with their number."""

import pyarrow as pa
import pyarrow.parquet as pq

from qwen_pipeline.text.table_writer import TableWriter
from work_growth import grows_in_proportion

SCHEMA = pa.schema([("number", pa.int64())])


def test_small_batches_wait_for_each_other_and_keep_their_order(tmp_path):
    with TableWriter(tmp_path / "rows.parquet", SCHEMA, rows_per_batch=100) as writer:
        for number in range(250):
            writer.write_batch(pa.RecordBatch.from_pydict({"number": [number]}, SCHEMA))
    file = pq.ParquetFile(tmp_path / "rows.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [100, 100, 50]
    assert file.read()["number"].to_pylist() == list(range(250))


def test_the_work_of_many_small_batches_grows_with_their_number(tmp_path):
    batch = pa.RecordBatch.from_pydict({"number": [1]}, SCHEMA)

    def write(many: int) -> None:
        with TableWriter(tmp_path / "rows.parquet", SCHEMA) as writer:
            for _ in range(many):
                writer.write_batch(batch)

    assert grows_in_proportion(write, 900)
