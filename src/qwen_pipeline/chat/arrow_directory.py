"""Write tokenized rows as a Hugging Face dataset directory, batch by batch.

``datasets.load_from_disk`` opens it. Written by hand because ``Dataset.from_generator`` goes through a
cache folder and puts a random fingerprint into the result; here equal rows give equal bytes.
"""

import hashlib
import json
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
    """Context manager; holds no rows in memory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        metadata = {"huggingface": json.dumps({"info": {"features": _FEATURES}})}
        self._schema = ROW_SCHEMA.with_metadata(metadata)
        self._digest = hashlib.sha256()
        self._writer = pa.ipc.new_stream(str(directory / _DATA_FILE), self._schema)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add rows of ``ROW_SCHEMA``."""
        self._digest.update(batch.serialize())
        self._writer.write_batch(batch.replace_schema_metadata(self._schema.metadata))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if error is None:
            self._write_json("dataset_info.json", _dataset_info())
            self._write_json("state.json", _state(self._digest.hexdigest()[:16]))

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
