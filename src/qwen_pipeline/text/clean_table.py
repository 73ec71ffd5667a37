"""The table of ingested examples into the tables of clean ones, rejects and duplicates.

First pass: every row by itself, in as many processes as there are cores. Then the duplicates. Second pass: the
clean rows, in their order, to where they belong.
"""

import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from qwen_pipeline.text.clean_batch import CleanedBatch, clean_batch
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.duplicates import EXACT, KEPT, NEAR, OF_HELDOUT, RowIndex, mark_exact, mark_near
from qwen_pipeline.text.schema import CLEAN_SCHEMA, DUPLICATE_SCHEMA, REJECT_SCHEMA, RejectReason, excerpt_of
from qwen_pipeline.text.stored_rows import StoredRows
from qwen_pipeline.text.table_writer import TableWriter

ROWS_WORTH_A_POOL = 30_000  # starting processes takes seconds
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
    batches: Iterable[pa.RecordBatch],
    rules: CleanRules,
    work: Path,
    near_duplicates: str = "drop",
    threshold: float = 0.7,
    workers: int | None = None,
) -> CleanTables:
    """Clean all rows.

    Args:
        batches: The ingested examples in batches of bounded size.
        rules: What to do with each row.
        work: A directory for the tables and for what is needed meanwhile.
        near_duplicates: ``drop`` them, ``report`` them and keep the rows, or ``keep`` them unsearched.
        threshold: Least share of common n-grams of near duplicates.
        workers: Processes; None takes one per core.
    """
    index, stored = RowIndex(work), StoredRows(work / "rows.arrow", CLEAN_SCHEMA)
    tables = CleanTables(
        work / "clean.parquet", work / "clean_rejects.parquet", work / "clean_duplicates.parquet"
    )
    search = near_duplicates != "keep"
    with TableWriter(tables.rejects, REJECT_SCHEMA) as rejects:
        for cleaned in _clean_all(batches, rules, search, workers):
            index.add(cleaned.keys, cleaned.splits, cleaned.sketches)
            stored.write(cleaned.rows)
            for reject in cleaned.rejects:
                _count_reject(tables, reject)
                rejects.write(reject)
        index.finish()
        stored.finish()
        mark_exact(index)
        if search:
            mark_near(index, threshold)
        _distribute(stored, index, tables, rejects, near_duplicates == "report")
    stored.close()
    index.close()
    return tables


def _clean_all(
    batches: Iterable[pa.RecordBatch], rules: CleanRules, with_sketches: bool, workers: int | None
) -> Iterator[CleanedBatch]:
    """Batches in order; a pool starts only when the rows are many."""
    workers = workers or os.cpu_count() or 1
    remaining, rows = iter(batches), 0
    for batch in remaining:
        yield clean_batch(batch, rules, with_sketches)
        rows += batch.num_rows
        if workers > 1 and rows >= ROWS_WORTH_A_POOL:
            break
    waiting: deque[Future[CleanedBatch]] = deque()
    first = next(remaining, None)
    if first is None:
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting.append(pool.submit(clean_batch, first, rules, with_sketches))
        for batch in remaining:
            waiting.append(pool.submit(clean_batch, batch, rules, with_sketches))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _distribute(
    stored: StoredRows, index: RowIndex, tables: CleanTables, rejects: TableWriter, report_only: bool
) -> None:
    """Each clean row to the examples, the duplicates or the rejects."""
    start = 0
    with (
        TableWriter(tables.examples, CLEAN_SCHEMA) as examples,
        TableWriter(tables.duplicates, DUPLICATE_SCHEMA) as duplicates,
    ):
        for batch in stored.batches():
            outcome = np.array(index.outcome[start : start + batch.num_rows])
            stays = (outcome == KEPT) | ((outcome == NEAR) & report_only)
            kept = batch.filter(pa.array(stays))
            _count_kept(tables, kept)
            examples.write_batch(kept)
            for at in np.flatnonzero(outcome != KEPT):
                row = batch.slice(int(at), 1).to_pylist()[0]
                _place_duplicate(
                    row, start + int(at), stored, index, tables, rejects, duplicates, bool(stays[at])
                )
            start += batch.num_rows


def _place_duplicate(
    row: dict[str, Any],
    at: int,
    stored: StoredRows,
    index: RowIndex,
    tables: CleanTables,
    rejects: TableWriter,
    duplicates: TableWriter,
    stays: bool,
) -> None:
    original = stored.place(int(index.original[at]))
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
