"""A file's content as adapters see it: bytes, or decoded text in pieces of bounded size.

Files up to ``WHOLE_FILE_BYTES`` are decoded at once, which gives a detector most to go by. Larger ones are cut
at line ends into pieces, so that memory does not grow with the file.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from qwen_pipeline.text.decode import Decoded, decode
from qwen_pipeline.text.raw_file import RawFile

WHOLE_FILE_BYTES = 8 * 2**20
HEAD_BYTES = 64 * 2**10
LONGEST_LINE = 64 * 2**20  # characters; a longer one is read as several
_GZIP_MAGIC = b"\x1f\x8b"
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its line end; ``offset`` counts characters from the start of the file."""

    number: int
    offset: int
    text: str


@dataclass
class Content:
    """One raw file, unpacked if it is gzipped.

    Attributes:
        file: The raw file.
        encoding: An encoding that the user forces, or None to detect it.
        column_map: Names of the user's columns by the role they play (``question``, ``answer``, …).
        speakers: Names of speakers in a dialogue, mapped to ``user`` or ``assistant``.
    """

    file: RawFile
    encoding: str | None = None
    column_map: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    tool_turns: str = "refuse"
    _decoded: list[tuple[int, Decoded]] = field(default_factory=list, repr=False)

    @cached_property
    def gzipped(self) -> bool:
        """Whether the file is packed with gzip."""
        with self.file.open() as stream:
            return stream.read(2) == _GZIP_MAGIC

    @property
    def suffix(self) -> str:
        """The extension in lower case, that of the packed file if it is gzipped."""
        name = PurePosixPath(self.file.name.lower())
        return PurePosixPath(name.stem).suffix if name.suffix == ".gz" else name.suffix

    def open(self) -> BinaryIO:
        """The unpacked bytes as a stream."""
        stream = self.file.open()
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if self.gzipped else stream

    @cached_property
    def head(self) -> bytes:
        """The first bytes, unpacked."""
        try:
            with self.open() as stream:
                return stream.read(HEAD_BYTES)
        except (OSError, EOFError, zlib.error):
            return b""

    @cached_property
    def first_text(self) -> str:
        """The first piece of text, without a byte order mark."""
        return next(self._pieces(), "").lstrip("\ufeff")

    def lines(self) -> Iterator[Line]:
        """The decoded lines; CR, LF and CRLF end a line."""
        number, offset, open_line = 1, 0, ""
        for piece in self._pieces():
            texts = _split_lines(open_line + piece)
            is_open = bool(texts) and not texts[-1].endswith(("\n", "\r")) and len(texts[-1]) < LONGEST_LINE
            open_line = texts.pop() if is_open else ""
            for text in texts:
                yield Line(number, offset, text.rstrip("\r\n"))
                number += 1
                offset += len(text)
        if open_line:
            yield Line(number, offset, open_line)

    def pieces(self) -> Iterator[str]:
        """The decoded text in order, in pieces that end at line ends."""
        return self._pieces()

    def encoding_at(self, offset: int) -> tuple[str, float]:
        """Encoding and confidence at a character of the text read last."""
        for start, decoded in reversed(self._decoded):
            if offset >= start:
                return decoded.encoding_at(min(offset - start, max(len(decoded.text) - 1, 0)))
        return "utf-8", 1.0

    def undecodable(self) -> int:
        """How many stretches of the text read last could not be decoded."""
        return sum(len(decoded.undecodable) for _, decoded in self._decoded)

    def _pieces(self) -> Iterator[str]:
        self._decoded, offset = [], 0
        with self.open() as stream:
            for data in _cut_at_lines(stream, "\n".encode(self._wide or "ascii")):
                decoded = self._decode(data, is_first=not offset)
                self._decoded = [*self._decoded[-1:], (offset, decoded)]
                offset += len(decoded.text)
                yield decoded.text

    @cached_property
    def _wide(self) -> str | None:
        """The encoding if its units are wider than a byte: such a file is all in one, and is cut between units."""
        marked = next((name for mark, name in _WIDE_MARKS if self.head.startswith(mark)), None)
        if marked or (self.file.size < WHOLE_FILE_BYTES and not self.gzipped):
            return marked
        name = codecs.lookup(self.encoding or decode(self.head).encoding_at(0)[0]).name
        return name if name.startswith(("utf-16-", "utf-32-")) else None

    def _decode(self, data: bytes, is_first: bool) -> Decoded:
        """Decode a piece; the first one, which every adapter looks at, once."""
        if not is_first:
            return decode(data, self.encoding or self._wide)
        if self._first is None:
            self._first = decode(data, self.encoding)
        return self._first

    _first: Decoded | None = field(default=None, repr=False)


def _split_lines(text: str) -> list[str]:
    """Lines with their ends; only CR, LF and CRLF count, unlike ``str.splitlines``."""
    if "\r" in text:
        return _to_lf(text)
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _to_lf(text: str) -> list[str]:
    lines: list[str] = []
    for part in text.split("\n"):
        carriage = part[:-1].split("\r") if part.endswith("\r") else part.split("\r")
        lines.extend(piece + "\r" for piece in carriage[:-1])
        lines.append(carriage[-1] + ("\r\n" if part.endswith("\r") else "\n"))
    tail = lines.pop()
    return [*lines, tail[:-1]] if tail != "\n" else lines


def _cut_at_lines(stream: BinaryIO, newline: bytes) -> Iterator[bytes]:
    """The stream in pieces of about ``WHOLE_FILE_BYTES``, cut after a line feed where there is one."""
    rest = b""
    while block := stream.read(WHOLE_FILE_BYTES):
        data = rest + block
        if len(data) < WHOLE_FILE_BYTES:
            rest = data
            continue
        cut = _last_line_end(data, newline)
        yield data[:cut]
        rest = data[cut:]
    if rest:
        yield rest


def _last_line_end(data: bytes, newline: bytes) -> int:
    """Where to cut: after the last line end; else after a character that is one in every encoding."""
    for mark in (b"\n", b"\r", b'"', b",", b" "):
        wide = newline.replace(b"\n", mark)
        at = data.rfind(wide)
        while at > 0 and at % len(wide):
            at = data.rfind(wide, 0, at + len(wide) - 1)
        if at > 0:
            return at + len(wide)
    return len(data) - len(data) % 4
