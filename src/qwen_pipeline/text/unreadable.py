"""Files that are no text: known by their first bytes, or by what decoding them gives."""

import re
import struct
import unicodedata
import zipfile
from collections.abc import Iterable

_MAGIC = {
    b"\x89PNG": "PNG image", b"\xff\xd8\xff": "JPEG image", b"GIF8": "GIF image", b"PK\x03\x04": "ZIP archive",
    b"%PDF": "PDF document", b"\x7fELF": "program", b"MZ\x90": "program", b"7z\xbc\xaf": "7z archive",
    b"Rar!": "RAR archive", b"BZh": "bzip2 archive", b"\xfd7zXZ": "xz archive", b"\x28\xb5\x2f\xfd": "zstd archive",
    b"PAR1": "Parquet table", b"\xd0\xcf\x11\xe0": "Office document", b"SQLite format 3": "SQLite database",
    b"\x1f\x8b": "gzip archive", b"ARROW1": "Arrow file", b"\x80\x04\x95": "pickle", b"RIFF": "media file", b"OggS": "media file",
}  # fmt: skip
# What the standard library raises at a broken archive; a version or method that it does not know is no BadZipFile.
ZIP_FAULTS = (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TAR_MAGIC = slice(257, 262), b"ustar"
_LOST = "\ufffd".encode()  # written by whoever lost the character: the file itself is text
_SAMPLE = 8192
_MOST_STRANGE = 0.02
_MOST_ZEROS = 0.1


_OFFICE = {"word/": "Word document", "ppt/": "PowerPoint presentation", "META-INF/container.xml": "EPUB book"}
_MARKUP = {
    "<!doctype html": "HTML page",
    "<html": "HTML page",
    "<?xml": "XML document",
    "{\\rtf": "RTF document",
}
_REMEDIES = {
    "archive": "unpack it into the folder",
    "document": "save it as text, Markdown or CSV",
    "presentation": "save it as text or Markdown",
    "book": "save it as text or Markdown",
    "page": "save it as text or Markdown",
    "database": "export the table as CSV, JSONL or Parquet",
    "Arrow file": "save it as Parquet",
}


def remedy_for(kind: str) -> str:
    """What the user can do with a file of this kind, with a leading semicolon; empty where nothing helps."""
    found = next((remedy for ending, remedy in _REMEDIES.items() if kind.endswith(ending)), "")
    return f"; {found}" if found else ""


def markup_kind(text: str) -> str | None:
    """What a text is that is written in a language of pages, not of people, else None."""
    start = text[:200].lstrip().lower()
    return next((kind for mark, kind in _MARKUP.items() if start.startswith(mark)), None)


def office_kind(names: Iterable[str]) -> str:
    """What a ZIP archive with these members is."""
    kinds = (kind for name in names for mark, kind in _OFFICE.items() if name.startswith(mark))
    return next(kinds, "ZIP archive")


def binary_kind(head: bytes) -> str | None:
    """What a file is whose first bytes are those of a binary format, else None."""
    place, magic = _TAR_MAGIC
    if head[place] == magic:
        return "TAR archive"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def looks_binary(head: bytes, text: str) -> bool:
    """Whether more of the decoded text is control or unassigned characters than any text has.

    Args:
        head: The first bytes of the file.
        text: The same, decoded.
    """
    if binary_kind(head):
        return True
    sample = text[:_SAMPLE].rstrip("\0")  # zeros behind the text: a crash while the file was written
    if sample.count("\0") <= _MOST_ZEROS * len(sample):
        sample = sample.replace("\0", "")  # some programs end every text with one
    if not sample or (sample.isascii() and not _CONTROL.search(sample)):
        return False
    strange = sum(
        char == "\ufffd" or bool(_CONTROL.match(char)) or unicodedata.category(char) in ("Cn", "Cs")
        for char in sample
    )
    strange -= min(sample.count("\ufffd"), head.count(_LOST))
    return strange > _MOST_STRANGE * len(sample) + 2
