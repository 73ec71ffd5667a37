"""What a document that a test writes is read as."""

from pathlib import Path

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Row
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows


def read_document(folder: Path, name: str, text: str) -> list[Row]:
    """All rows of a file of this name and text, which is written as it is, in UTF-8."""
    path = folder / name
    path.write_bytes(text.encode())
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size))))


def pairs_in(folder: Path, name: str, text: str) -> list[tuple[str, str]]:
    """The first question and answer of each row that is found."""
    rows = read_document(folder, name, text)
    return [(row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)]
