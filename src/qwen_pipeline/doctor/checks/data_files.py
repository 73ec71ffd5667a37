"""The raw files: is there anything to learn from, and in which encoding is it (S10, S11)?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.incremental.content import files_below
from qwen_pipeline.params.ingest import DEFAULT_DATA_DIR as DEFAULT
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import FileAccount, ReadOptions, read_files

ORDER = 65
SAMPLE_FILES = 5
SAMPLE_BYTES = 256 * 1024  # larger files are judged by their beginning
SHOWN_CHARACTERS = 30


def check(inspection: Inspection) -> Iterator[Finding]:
    """List the files and decode the first of them, as ingest would."""
    name = str(inspection.parameter("data_dir", DEFAULT))
    folder = inspection.path_of(name)
    try:
        files = [one for one in files_below(folder) if not _hidden(one[0])] if folder.is_dir() else []
        if folder.is_file():
            folder, files = folder.parent, [(folder.name, folder.stat())]
    except OSError as failure:
        yield error("data", f"data_dir={name} cannot be read: {failure.strerror}", f"chmod -R u+rX {folder}")
        return
    if not files and folder.resolve() == inspection.path_of(DEFAULT).resolve():
        yield ok("data", f"{name} is empty: the bundled samples are used")
        return
    if not files:
        what = "holds no file" if folder.is_dir() else "does not exist"
        yield error(
            "data", f"data_dir={name} {what}", f"mkdir -p {name}, and put Markdown, JSON or CSV files in it"
        )
        return
    yield from judge_sample(folder, [found for found, _ in files], inspection)


def judge_sample(folder: Path, names: list[str], inspection: Inspection) -> Iterator[Finding]:
    """Decode and parse some files; tell the encodings, one question, and what cannot be used."""
    chosen = names[:SAMPLE_FILES]
    unreadable = [name for name in chosen if not _can_read(folder / name)]
    if unreadable:
        yield error("data", f"no right to read {unreadable[0]}", f"chmod u+r {folder / unreadable[0]}")
    chosen = [name for name in chosen if name not in unreadable]
    if not chosen:
        return
    questions, accounts = _read(folder, chosen, inspection)
    encodings = sorted({name for account in accounts for name in account.encodings})
    seen = f"{len(names)} file(s); {len(chosen)} looked at: {', '.join(encodings) or 'no text'}"
    if not questions:
        reasons = sorted({reason for account in accounts for reason in account.rejected})
        yield error(
            "data", f"{seen}; no question with an answer found ({', '.join(reasons) or 'nothing parsed'})",
            "write Q1: … / A1: … lines, or name your columns: column_map={question: …, answer: …}",
        )  # fmt: skip
        return
    yield ok("data", f"{seen}; {len(questions)} pairs, the first asks “{_shortened(questions[0])}”")
    for account in accounts:
        if not account.kept and account.rejected:
            fact = f"{account.name} gives no example ({', '.join(sorted(account.rejected))})"
            yield warning(
                "data", fact, "kedro run --pipeline clean, then see ingest_rejects for line and reason"
            )


def _read(folder: Path, names: list[str], inspection: Inspection) -> tuple[list[str], list[FileAccount]]:
    import pyarrow.parquet as pq

    options = ReadOptions(
        encoding=inspection.parameter("encoding"),
        column_map=dict(inspection.parameter("column_map") or {}),
        speakers=dict(inspection.parameter("speakers") or {}),
        tool_turns=str(inspection.parameter("tool_turns") or "refuse"),
    )
    with tempfile.TemporaryDirectory() as place:
        files = [_beginning(folder / name, name, Path(place)) for name in names]
        examples, _, accounts = read_files(files, options, Path(place), 1)
        rows = pq.read_table(examples, columns=["messages"])["messages"].to_pylist()
    turns = [next((turn for turn in row if turn["role"] == "user"), row[0]) for row in rows if row]
    return [str(turn["content"]) for turn in turns], list(accounts)


def _beginning(path: Path, name: str, place: Path) -> RawFile:
    """A file, or its first whole lines where it is large text."""
    size = path.stat().st_size
    if size <= SAMPLE_BYTES or path.suffix in {".gz", ".parquet", ".xlsx", ".xls", ".json", ".ods"}:
        return RawFile(name, path, size)
    with path.open("rb") as stream:
        head = stream.read(SAMPLE_BYTES)
    head = head[: head.rfind(b"\n") + 1] or head
    copy = place / "sample" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(head)
    return RawFile(name, copy, len(head))


def _can_read(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            stream.read(1)
    except OSError:
        return False
    return True


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
