"""Write tokenized rows as a Hugging Face dataset directory, batch by batch.

``datasets.load_from_disk`` opens it. Written by hand because ``Dataset.from_generator`` goes through a
cache folder and puts a random fingerprint into the result; here equal rows give equal bytes.
"""

import hashlib
import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
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


class RowBuffer:
    """Rows on their way into a batch, four bytes a token: a list of Python's integers takes nine times that."""

    def __init__(self) -> None:
        self._input_ids, self._labels, self._ends = array("i"), array("i"), array("i", [0])
        self._example_ids: list[str] = []

    def add(self, input_ids: Sequence[int], labels: Sequence[int], example_id: str) -> None:
        """Add one row; ``input_ids`` and ``labels`` are of the same length."""
        self._input_ids.extend(input_ids)
        self._labels.extend(labels)
        self._ends.append(len(self._input_ids))
        self._example_ids.append(example_id)

    @property
    def tokens(self) -> int:
        """Tokens held."""
        return len(self._input_ids)

    def to_batch(self) -> pa.RecordBatch:
        """The rows, by ``ROW_SCHEMA``."""
        ends = pa.array(np.asarray(self._ends))
        ids, labels = (
            pa.ListArray.from_arrays(ends, pa.array(np.asarray(values)))
            for values in (self._input_ids, self._labels)
        )
        return pa.RecordBatch.from_arrays(
            [ids, labels, pa.array(self._example_ids, pa.string())], schema=ROW_SCHEMA
        )


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
