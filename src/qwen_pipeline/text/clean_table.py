"""The table of ingested examples into the tables of clean ones, rejects and duplicates.

First pass: every row by itself, in as many processes as there are cores. Then the duplicates. Second pass: the
clean rows, in their order, to where they belong.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from qwen_pipeline.text.clean_part import clean_part
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.duplicates import EXACT, KEPT, NEAR, OF_HELDOUT, RowIndex, mark_exact, mark_near
from qwen_pipeline.text.parts import map_parts
from qwen_pipeline.text.schema import CLEAN_SCHEMA, DUPLICATE_SCHEMA, REJECT_SCHEMA, RejectReason, excerpt_of
from qwen_pipeline.text.table_reader import RowGroup
from qwen_pipeline.text.table_writer import TableWriter

_KINDS = {EXACT: "exact", NEAR: "near"}


@dataclass
class CleanTables:
    """The finished tables, and what became of the rows of each file."""

    examples: Path
    rejects: Path
    duplicates: Path
    kept: Counter[str] = field(default_factory=Counter)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    exact: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)


def clean_table(
    groups: Sequence[RowGroup],
    rules: CleanRules,
    work: Path,
    near_duplicates: str = "drop",
    threshold: float = 0.7,
    workers: int | None = None,
) -> CleanTables:
    """Clean all rows.

    Args:
        groups: The ingested examples, row group by row group.
        rules: What to do with each row.
        work: A directory for the tables and for what is needed meanwhile.
        near_duplicates: ``drop`` them, ``report`` them and keep the rows, or ``keep`` them unsearched.
        threshold: Least share of common n-grams of near duplicates.
        workers: Processes; None takes one per core. Few rows are cleaned in this process.
    """
    tables = CleanTables(
        work / "clean.parquet", work / "clean_rejects.parquet", work / "clean_duplicates.parquet"
    )
    search = near_duplicates != "keep"
    clean = partial(clean_part, rules=rules, with_sketches=search)
    parts = list(map_parts(clean, groups, work, workers, "Cleaning"))
    index = RowIndex(work, parts)
    mark_exact(index)
    if search:
        mark_near(index, threshold, heldout_first=near_duplicates == "report")
    with TableWriter(tables.rejects, REJECT_SCHEMA) as rejects:
        for part in parts:
            for file, counts in part.rejected.items():
                tables.rejected.setdefault(file, Counter()).update(counts)
            for batch in part.rejects():
                rejects.write_batch(batch)
        _distribute(index, tables, rejects, near_duplicates == "report")
    index.close()
    for part in parts:
        part.remove()
    return tables


def _distribute(index: RowIndex, tables: CleanTables, rejects: TableWriter, report_only: bool) -> None:
    """Each clean row to the examples, the duplicates or the rejects."""
    start = 0
    with (
        TableWriter(tables.examples, CLEAN_SCHEMA) as examples,
        TableWriter(tables.duplicates, DUPLICATE_SCHEMA) as duplicates,
    ):
        for batch in (batch for part in index.parts for batch in part.batches()):
            outcome = np.array(index.outcome[start : start + batch.num_rows])
            stays = (outcome == KEPT) | ((outcome == NEAR) & report_only)
            kept = batch if stays.all() else batch.filter(pa.array(stays))
            _count_kept(tables, kept)
            examples.write_batch(kept)
            gone = np.flatnonzero(outcome != KEPT)
            rows = batch.take(pa.array(gone)).to_pylist() if len(gone) else []
            for at, row in zip(gone, rows, strict=True):
                _place_duplicate(row, start + int(at), index, tables, rejects, duplicates, bool(stays[at]))
            start += batch.num_rows


def _place_duplicate(
    row: dict[str, Any],
    at: int,
    index: RowIndex,
    tables: CleanTables,
    rejects: TableWriter,
    duplicates: TableWriter,
    stays: bool,
) -> None:
    original = index.place(int(index.original[at]))
    question, answer = (round(float(value), 4) for value in index.likeness[at])
    where = f"{original.source_file}:{original.source_line}"
    place = {"source_file": row["source_file"], "source_line": row["source_line"]}
    excerpt = excerpt_of(row["messages"][-2]["content"])
    if index.outcome[at] == OF_HELDOUT:
        detail = f"alike: question {question}, answer {answer}; {original.split} row {where}"
        reason = RejectReason.NEAR_DUPLICATE_OF_HELDOUT.value
        reject = {**place, "stage": "clean", "reason": reason, "detail": detail, "excerpt": excerpt}
        _count_reject(tables, reject)
        rejects.write(reject)
        return
    kind = _KINDS[int(index.outcome[at])]
    if not stays:
        (tables.exact if kind == "exact" else tables.near)[row["source_file"]] += 1
    duplicates.write(
        {
            **place,
            "example_id": row["example_id"],
            "kind": kind,
            "duplicate_of": original.example_id,
            "question_similarity": question,
            "answer_similarity": answer,
            "excerpt": excerpt,
        }
    )


def _count_reject(tables: CleanTables, reject: dict[str, Any]) -> None:
    tables.rejected.setdefault(reject["source_file"], Counter())[reject["reason"]] += 1


def _count_kept(tables: CleanTables, kept: pa.RecordBatch) -> None:
    for counter, column in (
        (tables.kept, kept.column("source_file")),
        (tables.splits, kept.column("split")),
        (tables.repairs, kept.column("repairs").flatten()),
    ):
        for pair in column.value_counts():
            counter[pair["values"].as_py()] += pair["counts"].as_py()
