"""Write tokenized rows as a Hugging Face dataset directory, row group by row group.

``datasets.load_from_disk`` opens it. Written by hand because ``Dataset.from_generator`` goes through a
cache folder and puts a random fingerprint into the result; here equal rows give equal bytes.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

ROW_SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("example_id", pa.string()),
    ]
)
_DATA_FILE = "data-00000-of-00001.arrow"
_INT_LIST = {"feature": {"dtype": "int32", "_type": "Value"}, "_type": "List"}
_FEATURES = {
    "input_ids": _INT_LIST,
    "labels": _INT_LIST,
    "example_id": {"dtype": "string", "_type": "Value"},
}


class ArrowDirectoryWriter:
    """Context manager that holds at most ``batch_rows`` rows in memory."""

    def __init__(self, directory: Path, batch_rows: int = 256) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._batch_rows = batch_rows
        self._rows: list[dict[str, Any]] = []
        metadata = {"huggingface": json.dumps({"info": {"features": _FEATURES}})}
        self._schema = ROW_SCHEMA.with_metadata(metadata)
        self._digest = hashlib.sha256()
        self._writer = pa.ipc.new_stream(str(directory / _DATA_FILE), self._schema)

    def write(self, input_ids: Sequence[int], labels: Sequence[int], example_id: str) -> None:
        """Add one row."""
        self._rows.append({"input_ids": input_ids, "labels": labels, "example_id": example_id})
        if len(self._rows) >= self._batch_rows:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()
        if error is None:
            self._write_json("dataset_info.json", _dataset_info())
            self._write_json("state.json", _state(self._digest.hexdigest()[:16]))

    def _flush(self) -> None:
        if not self._rows:
            return
        batch = pa.RecordBatch.from_pylist(self._rows, schema=self._schema)
        for row in self._rows:
            self._digest.update(repr((row["example_id"], row["input_ids"], row["labels"])).encode())
        self._writer.write_batch(batch)
        self._rows = []

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, sort_keys=True)
        (self.directory / name).write_text(text + "\n", encoding="utf-8")


def _dataset_info() -> dict[str, Any]:
    return {"citation": "", "description": "", "features": _FEATURES, "homepage": "", "license": ""}


def _state(fingerprint: str) -> dict[str, Any]:
    """What ``datasets`` 5.2 keeps beside the rows. Source: ``Dataset.save_to_disk``."""
    return {
        "_data_files": [{"filename": _DATA_FILE}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
