"""One row group of the ingested examples cleaned into files of its own, by whichever process takes it.

The texts are read again by batch; only the few columns that say where a row comes from are mapped into memory.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from qwen_pipeline.text.clean_batch import CleanedBatch, clean_batch
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.parts import read_stream, remove_part
from qwen_pipeline.text.plain_text_file import PlainTextFile
from qwen_pipeline.text.schema import CLEAN_SCHEMA, REJECT_SCHEMA
from qwen_pipeline.text.table_reader import RowGroup, read_group

_PLACE = ("example_id", "source_file", "source_line", "split")
_PLACE_SCHEMA = pa.schema([CLEAN_SCHEMA.field(name) for name in _PLACE])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row comes from and which split it is in."""

    example_id: str
    source_file: str
    source_line: int
    split: str


@dataclass
class CleanPart:
    """The clean rows of one row group, on disk.

    Attributes:
        path: What its files' names begin with.
        keys: Content digests, shape [rows, 2].
        splits: 0 test, 1 validation, 2 train; shape [rows].
        rejected: Rejects by file and reason.
    """

    path: Path
    keys: NDArray[np.uint64]
    splits: NDArray[np.uint8]
    rejected: dict[str, Counter[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.splits)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The clean rows in order."""
        yield from read_stream(self.path.with_suffix(".rows"))

    def rejects(self) -> Iterator[pa.RecordBatch]:
        """The refused rows in order."""
        yield from read_stream(self.path.with_suffix(".rejects"))

    def band(self, band: int) -> NDArray[np.uint64]:
        """One band of every row, shape [rows]."""
        start = 8 * band * len(self)
        return np.fromfile(self.path.with_suffix(".bands"), np.uint64, len(self), offset=start)

    def place(self, at: int) -> Place:
        """Where one row comes from."""
        return Place(*(self._places.column(name)[at].as_py() for name in _PLACE))

    @cached_property
    def texts(self) -> PlainTextFile:
        """The plain question and answer of each row."""
        return PlainTextFile(self.path.with_suffix(".texts"))

    @cached_property
    def _places(self) -> pa.RecordBatch:
        with pa.memory_map(str(self.path.with_suffix(".places"))) as source:
            return pa.ipc.open_file(source).get_batch(0)

    def remove(self) -> None:
        """Remove the part's files."""
        self.__dict__.pop("_places", None)
        self.__dict__.pop("texts", None)
        remove_part(self.path)


def clean_part(task: tuple[RowGroup, Path], rules: CleanRules, with_sketches: bool) -> CleanPart:
    """Clean the rows of one row group.

    Args:
        task: Where they are, and what the names of the files to write begin with.
        rules: What to do with each row.
        with_sketches: Whether near duplicates are looked for.
    """
    group, path = task
    return _write(path, (clean_batch(batch, rules, with_sketches) for batch in read_group(group)))


def _write(path: Path, batches: Iterator[CleanedBatch]) -> CleanPart:
    rejected: dict[str, Counter[str]] = {}
    keys, splits = [np.zeros((0, 2), dtype=np.uint64)], [np.zeros(0, dtype=np.uint8)]
    places, sketches = [], []
    with (
        pa.ipc.new_stream(str(path.with_suffix(".rows")), CLEAN_SCHEMA) as rows,
        pa.ipc.new_stream(str(path.with_suffix(".rejects")), REJECT_SCHEMA) as rejects,
    ):
        for cleaned in batches:
            rows.write_batch(cleaned.rows)
            keys.append(cleaned.keys)
            splits.append(cleaned.splits)
            places.append(cleaned.rows.select(_PLACE))
            if cleaned.sketches is not None:
                sketches.append(cleaned.sketches)
            for reject in cleaned.rejects:
                rejected.setdefault(reject["source_file"], Counter())[reject["reason"]] += 1
            if cleaned.rejects:
                rejects.write_batch(pa.RecordBatch.from_pylist(cleaned.rejects, schema=REJECT_SCHEMA))
    _write_places(path.with_suffix(".places"), places)
    if sketches:
        bands = np.concatenate([sketch.bands for sketch in sketches])
        np.ascontiguousarray(bands.T).tofile(path.with_suffix(".bands"))
        PlainTextFile.write(path.with_suffix(".texts"), sketches)
    return CleanPart(path, np.concatenate(keys), np.concatenate(splits), rejected)


def _write_places(path: Path, batches: list[pa.RecordBatch]) -> None:
    table = pa.Table.from_batches(batches, _PLACE_SCHEMA).combine_chunks()
    with pa.ipc.new_file(str(path), _PLACE_SCHEMA) as places:
        places.write_table(table)
