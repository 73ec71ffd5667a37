"""A file's content as adapters see it: bytes, or decoded text in pieces of bounded size.

Files up to ``WHOLE_FILE_BYTES`` are decoded at once, which gives a detector most to go by. Larger ones are cut
at line ends into pieces, so that memory does not grow with the file.
"""

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
_GZIP_MAGIC = b"\x1f\x8b"


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
        number, offset = 1, 0
        for piece in self._pieces():
            for text in _split_lines(piece):
                yield Line(number, offset, text.rstrip("\r\n"))
                number += 1
                offset += len(text)

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
        if self._decoded and self._is_whole:
            yield self._decoded[0][1].text
            return
        self._decoded, offset = [], 0
        encoding = self.encoding
        with self.open() as stream:
            for data in _cut_at_lines(stream):
                decoded = decode(data, encoding)
                self._decoded = [*self._decoded[-1:], (offset, decoded)]
                self._is_whole = offset == 0 and len(data) < WHOLE_FILE_BYTES
                offset += len(decoded.text)
                yield decoded.text

    _is_whole: bool = field(default=False, repr=False)


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


def _cut_at_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in pieces of about ``WHOLE_FILE_BYTES``, cut after a line feed where there is one."""
    rest, wide = b"", None
    while block := stream.read(WHOLE_FILE_BYTES):
        if wide is None:
            wide = _wide_newline(block)
        data = rest + block
        if len(data) < WHOLE_FILE_BYTES:
            rest = data
            continue
        cut = _last_line_end(data, wide)
        yield data[:cut]
        rest = data[cut:]
    if rest:
        yield rest


def _wide_newline(block: bytes) -> bytes:
    """The bytes of a line feed: two for UTF-16, which a byte order mark or many zero bytes tell."""
    if block.startswith(b"\xff\xfe"):
        return b"\n\x00"
    if block.startswith(b"\xfe\xff"):
        return b"\x00\n"
    sample = block[:4096]
    if sample.count(b"\n\x00") > 0 and sample.count(0) > len(sample) // 20:
        return b"\n\x00"
    return b"\x00\n" if sample.count(0) > len(sample) // 20 else b"\n"


def _last_line_end(data: bytes, newline: bytes) -> int:
    """Where to cut: after the last line end, on a whole code unit; else at an even place near the end."""
    at = data.rfind(newline)
    while at > 0 and at % len(newline):
        at = data.rfind(newline, 0, at + len(newline) - 1)
    return at + len(newline) if at > 0 else len(data) - len(data) % 4
