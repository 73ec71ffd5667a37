"""One batch of ingested examples: its clean rows as columns, its rejects, and what duplicates are found by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from qwen_pipeline.text.clean_row import CleanRow, CleanRules, Fault, clean_messages
from qwen_pipeline.text.likeness import sketch_rows
from qwen_pipeline.text.plain_text import plain_codes
from qwen_pipeline.text.schema import CLEAN_SCHEMA, MESSAGE, excerpt_of
from qwen_pipeline.text.split import HELDOUT_ORDER
from qwen_pipeline.text.traits import traits_of


@dataclass(frozen=True, slots=True)
class Sketches:
    """What near duplicates are found by.

    Attributes:
        bands: Shape [rows, BANDS].
        codes: Code points of plain questions and answers, one after another.
        lengths: Their lengths, shape [2 * rows].
    """

    bands: NDArray[np.uint64]
    codes: NDArray[np.uint32]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CleanedBatch:
    """A batch after cleaning.

    Attributes:
        rows: The clean rows.
        rejects: Rows for the table of rejects.
        keys: Content digests of the clean rows, shape [rows, 2].
        splits: Their splits, 0 test, 1 validation, 2 train, shape [rows].
        sketches: None where near duplicates are not looked for.
    """

    rows: pa.RecordBatch
    rejects: list[dict[str, Any]]
    keys: NDArray[np.uint64]
    splits: NDArray[np.uint8]
    sketches: Sketches | None


def clean_batch(batch: pa.RecordBatch, rules: CleanRules, with_sketches: bool) -> CleanedBatch:
    """Clean the rows of one batch.

    Args:
        batch: Ingested examples.
        rules: What to do with each.
        with_sketches: Whether near duplicates are looked for.
    """
    outcomes = _clean_rows(batch, rules)
    at = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, CleanRow)]
    kept = [outcome for outcome in outcomes if isinstance(outcome, CleanRow)]
    return CleanedBatch(
        _with_clean_columns(
            batch if len(kept) == len(outcomes) else batch.take(pa.array(at, pa.int64())), kept
        ),
        _rejects(batch, outcomes) if len(kept) < len(outcomes) else [],
        np.frombuffer(b"".join(row.key for row in kept), dtype=np.uint64).reshape(-1, 2),
        np.array([HELDOUT_ORDER.index(row.split) for row in kept], dtype=np.uint8),
        _sketch(kept) if with_sketches and kept else None,
    )


def _clean_rows(batch: pa.RecordBatch, rules: CleanRules) -> list[CleanRow | Fault]:
    messages = batch.column("messages")
    flat = messages.flatten()
    contents = [text or "" for text in flat.field("content").to_pylist()]
    turns = list(zip(flat.field("role").to_pylist(), contents, strict=True))
    traits = traits_of(contents).tolist()
    outcomes, start = [], 0
    files = batch.column("source_file").to_pylist()
    for file, count in zip(files, pc.list_value_length(messages).to_pylist(), strict=True):
        end = start + count
        outcomes.append(clean_messages(turns[start:end], traits[start:end], file, rules))
        start = end
    return outcomes


def _with_clean_columns(batch: pa.RecordBatch, rows: list[CleanRow]) -> pa.RecordBatch:
    """The batch with the messages of its clean rows, and their repairs and splits."""
    turns = [turn for row in rows for turn in row.messages]
    starts = np.cumsum([0, *(len(row.messages) for row in rows)])
    message = pa.StructArray.from_arrays(
        [
            pa.array([role for role, _ in turns], pa.string()),
            pa.array([text for _, text in turns], pa.string()),
        ],
        fields=list(MESSAGE),
    )
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["messages"] = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), message)
    columns["repairs"] = pa.array([row.repairs for row in rows], pa.list_(pa.string()))
    columns["split"] = pa.array([row.split for row in rows], pa.string())
    return pa.RecordBatch.from_arrays([columns[name] for name in CLEAN_SCHEMA.names], schema=CLEAN_SCHEMA)


def _rejects(batch: pa.RecordBatch, outcomes: list[CleanRow | Fault]) -> list[dict[str, Any]]:
    files, lines = batch.column("source_file"), batch.column("source_line")
    return [
        {
            "source_file": files[at].as_py(),
            "source_line": lines[at].as_py(),
            "stage": "clean",
            "reason": outcome.reason.value,
            "detail": outcome.detail,
            "excerpt": excerpt_of(outcome.text),
        }
        for at, outcome in enumerate(outcomes)
        if isinstance(outcome, Fault)
    ]


def _sketch(rows: list[CleanRow]) -> Sketches:
    codes, lengths = plain_codes([text for row in rows for text in (row.question, row.answer)])
    return Sketches(sketch_rows(codes, lengths), codes, lengths)
