"""Raw files into two tables, examples and rejects, with an account of each file.

Each file is read by one process and written as an Arrow part; the parts are joined in the order of the files'
names, so that the tables do not depend on the number of processes.
"""

import csv
import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.registry import rows_of
from qwen_pipeline.text.formats.row import Found, Refused, Result, refuse
from qwen_pipeline.text.parts import read_stream
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.schema import EXAMPLE_SCHEMA, REJECT_SCHEMA, RejectReason
from qwen_pipeline.text.table_writer import StreamWriter, TableWriter
from qwen_pipeline.text.unreadable import (
    ZIP_FAULTS,
    binary_kind,
    looks_binary,
    markup_kind,
    office_kind,
    remedy_for,
)
from qwen_pipeline.text.worker_pool import map_in_processes

STAGE = "ingest"
BYTES_WORTH_A_POOL = 32 * 2**20  # starting processes takes a second
# What broken data makes a reader raise; the last four only where a reader has not thought of such a row.
_DATA_FAULTS = (
    OSError, EOFError, ValueError, zlib.error, RecursionError, pa.ArrowException, csv.Error, LookupError, TypeError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read: what ``Content`` takes beside the file."""

    encoding: str | None = None
    column_map: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    tool_turns: str = "refuse"


@dataclass
class FileAccount:
    """What was found in one file and what became of it."""

    name: str
    size: int
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The account as it stands in the report."""
        return {
            "found": self.kept + self.rejected.total(),
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "encodings": dict(sorted(self.encodings.items())),
            "notes": dict(sorted(self.notes.items())),
            "bytes": self.size,
        }


def read_rows(content: Content) -> Iterator[Result]:
    """All rows of one file; a file that cannot be read gives one refusal."""
    file = content.file
    if not file.size or (not content.gzipped and not content.head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")):
        yield refuse(1, RejectReason.EMPTY_FILE, "the file holds no text")
        return
    seen = 0
    try:
        kind = None if binary_kind(content.head) else markup_kind(content.first_text)
        if kind:
            detail = f"no adapter reads a file of this kind ({kind}){remedy_for(kind)}"
            yield refuse(1, RejectReason.UNKNOWN_FORMAT, detail, content.first_text)
            return
        rows = rows_of(content) if not binary_kind(content.head) else _readable_binary(content)
        for row in rows if rows is not None else [_unknown(content)]:
            seen += 1
            yield row
    except _DATA_FAULTS as error:
        where = f"after row {seen}: " if seen else ""
        yield refuse(1, RejectReason.UNREADABLE_FILE, f"{where}{type(error).__name__}: {str(error)[:160]}")


def _readable_binary(content: Content) -> Iterator[Result] | None:
    rows = rows_of(content)
    if rows is not None:
        return rows
    kind = _archive_kind(content) or str(binary_kind(content.head))
    return iter([refuse(1, RejectReason.BINARY_FILE, f"the file is binary ({kind}){remedy_for(kind)}")])


def _archive_kind(content: Content) -> str | None:
    if not content.head.startswith(b"PK\x03\x04") or content.gzipped:
        return None
    try:
        with zipfile.ZipFile(content.file.path) as archive:
            return office_kind(archive.namelist())
    except ZIP_FAULTS:
        return None


def _unknown(content: Content) -> Refused:
    if looks_binary(content.head, content.first_text):
        return refuse(1, RejectReason.BINARY_FILE, "the bytes are no text in any known encoding")
    return refuse(1, RejectReason.UNKNOWN_FORMAT, "no adapter knows this kind of file", content.first_text)


def read_file(file: RawFile, options: ReadOptions, part: Path) -> FileAccount:
    """Read one file into the Arrow parts ``part.examples`` and ``part.rejects``."""
    content = Content(file, options.encoding, options.column_map, options.speakers, options.tool_turns)
    name = _storable(file.name)
    account = FileAccount(name, file.size)
    with (
        StreamWriter(part.with_suffix(".examples"), EXAMPLE_SCHEMA) as examples,
        StreamWriter(part.with_suffix(".rejects"), REJECT_SCHEMA) as rejects,
    ):
        for index, row in enumerate(read_rows(content)):
            if isinstance(row, Refused):
                account.rejected[row.reason.value] += 1
                rejects.write(_reject(name, row))
                continue
            encoding, confidence = content.encoding_at(row.offset)
            account.kept += 1
            account.encodings[encoding] += 1
            account.notes.update(row.notes)
            examples.write(
                _example(name, index, row, encoding, confidence),
                sum(len(text) for _, text in row.messages),
            )
    return account


def _example(name: str, index: int, row: Found, encoding: str, confidence: float) -> dict[str, Any]:
    messages = [{"role": role, "content": _storable(content)} for role, content in row.messages]
    digest = hashlib.blake2b(f"{name}\x1f{index}".encode("utf-8", "replace"), digest_size=8)
    for message in messages:
        digest.update(f"\x1e{message['role']}\x1f{message['content']}".encode())
    return {
        "example_id": digest.hexdigest(),
        "messages": messages,
        "source_file": name,
        "source_line": row.line,
        "encoding": encoding,
        "encoding_confidence": confidence,
    }


def _reject(name: str, row: Refused) -> dict[str, Any]:
    return {
        "source_file": name,
        "source_line": row.line,
        "stage": STAGE,
        "reason": row.reason.value,
        "detail": _storable(row.detail),
        "excerpt": _storable(row.excerpt),
    }


def _storable(text: str) -> str:
    """The text with halves of surrogate pairs joined, or marked where the other half is missing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def read_files(
    files: Iterable[RawFile], options: ReadOptions, work: Path, workers: int | None = None
) -> tuple[Path, Path, list[FileAccount]]:
    """Read all files.

    Args:
        files: The raw files, in the order that the tables will have.
        options: How to read them.
        work: A directory for the tables and, for a while, the parts.
        workers: Processes; None takes one per core. Little data is read in this process.

    Returns:
        The table of examples, the table of rejects, and one account a file.
    """
    files = list(files)
    parts = [work / f"part-{number:06d}" for number in range(len(files))]
    read = partial(_read_part, options=options)
    accounts: list[FileAccount] = []
    with (
        TableWriter(work / "examples.parquet", EXAMPLE_SCHEMA) as examples,
        TableWriter(work / "rejects.parquet", REJECT_SCHEMA) as rejects,
    ):
        for account, part in zip(
            _run(read, list(zip(files, parts, strict=True)), workers), parts, strict=True
        ):
            accounts.append(account)
            _join(part.with_suffix(".examples"), examples)
            _join(part.with_suffix(".rejects"), rejects)
    return examples.path, rejects.path, accounts


def _read_part(task: tuple[RawFile, Path], options: ReadOptions) -> FileAccount:
    return read_file(task[0], options, task[1])


def _run(
    read: "partial[FileAccount]", tasks: list[tuple[RawFile, Path]], workers: int | None
) -> Iterator[FileAccount]:
    is_little = sum(file.size for file, _ in tasks) < BYTES_WORTH_A_POOL
    yield from map_in_processes(read, tasks, 1 if is_little else workers)


def _join(part: Path, table: TableWriter) -> None:
    for batch in read_stream(part):
        table.write_batch(batch)
    part.unlink()
