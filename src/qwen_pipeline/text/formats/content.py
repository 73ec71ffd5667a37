"""A file's content as adapters see it: bytes, or decoded text in pieces of bounded size.

Files up to ``WHOLE_FILE_BYTES`` are decoded at once, which gives a detector most to go by. Larger ones are cut
at line ends into pieces, so that memory does not grow with the file.
"""

import codecs
import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedIOBase
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from qwen_pipeline.text.decode import MARKS, Decoded, decode
from qwen_pipeline.text.raw_file import RawFile

WHOLE_FILE_BYTES = 8 * 2**20
HEAD_BYTES = 64 * 2**10
LONGEST_LINE = 64 * 2**20  # characters; a longer one comes in parts of one number
_GZIP_MAGIC = b"\x1f\x8b"
_LINE_END = re.compile("\r{1,2}\n|\r|\n")  # CRCRLF is a CRLF that was written as text on Windows once more
_WIDE = ("utf-16", "utf-32")
_ZEROS = bytes(8)  # more than any encoding of text writes in a row: a crash while the file was written
_RUN_OF_ZEROS = re.compile(rb"\0{8,}")


class Line(NamedTuple):
    """A line without its line end, or a part of a very long one; ``offset`` counts characters from the start of the file."""

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
        pieces_read: How many pieces of the text were read by whoever reads it now; the last two are remembered.
    """

    file: RawFile
    encoding: str | None = None
    column_map: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    tool_turns: str = "refuse"
    pieces_read: int = field(default=0, init=False)
    _decoded: list[tuple[int, Decoded]] = field(default_factory=list, repr=False)
    _mains: list[tuple[int, tuple[str, float]]] = field(default_factory=list, repr=False)

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
                return _read_block(stream, HEAD_BYTES)[0]
        except (OSError, EOFError, zlib.error):
            return b""

    @cached_property
    def first_text(self) -> str:
        """The first piece of text, without a byte order mark."""
        return next(self.pieces(), "").lstrip("\ufeff")

    def lines(self) -> Iterator[Line]:
        """The decoded lines; CR, LF, CRLF and CRCRLF end a line."""
        number, offset, rest = 1, 0, ""
        for piece in self.pieces():
            text, start = rest + piece, offset
            for line, size in _cut_lines(text):
                yield Line(number, offset, line)
                number += 1
                offset += size
            rest = text[offset - start :]
            if len(rest) >= LONGEST_LINE:
                yield Line(number, offset, rest)
                offset, rest = offset + len(rest), ""
        if rest:
            yield Line(number, offset, rest)

    def encoding_at(self, offset: int) -> tuple[str, float]:
        """Encoding and confidence at a character of the text read last; those of a piece's beginning where it was read long ago."""
        for start, decoded in reversed(self._decoded):
            if offset >= start:
                return decoded.encoding_at(min(offset - start, max(len(decoded.text) - 1, 0)))
        return next((main for start, main in reversed(self._mains) if offset >= start), ("utf-8", 1.0))

    def pieces(self) -> Iterator[str]:
        """The decoded text in order, in pieces that end at line ends."""
        self._decoded, self._mains, self.pieces_read, offset = [], [], 0, 0
        with self.open() as stream:
            for data in _cut_at_lines(stream, "\n".encode(self._wide or "ascii")):
                decoded = self._decode(data, is_first=not offset)
                self._decoded = [*self._decoded[-1:], (offset, decoded)]
                self._mains.append((offset, decoded.encoding_at(0)))
                self.pieces_read += 1
                offset += len(decoded.text)
                yield decoded.text

    @cached_property
    def _wide(self) -> str | None:
        """The encoding if its units are wider than a byte: such a file is all in one, and is cut between units."""
        marked = next((name for mark, name, _ in MARKS[1:] if self.head.startswith(mark)), None)
        if self.encoding:
            return _forced_wide(codecs.lookup(self.encoding).name, marked)
        if marked or (self.file.size < WHOLE_FILE_BYTES and not self.gzipped):
            return marked
        name = codecs.lookup(decode(self.head).encoding_at(0)[0]).name
        return name if name.startswith(_WIDE) else None

    def _decode(self, data: bytes, is_first: bool) -> Decoded:
        """Decode a piece; the first one, which every adapter looks at, once."""
        if not is_first:
            return decode(_without_zeros(data), self._wide or self.encoding)
        if self._first is None:
            self._first = decode(_without_zeros(data), self.encoding)
        return self._first

    _first: Decoded | None = field(default=None, repr=False)


def _without_zeros(data: bytes) -> bytes:
    """The bytes without long runs of zeros, of which one stays where it may complete a character of UTF-16."""
    if _ZEROS not in data:
        return data
    return _RUN_OF_ZEROS.sub(lambda run: bytes(len(run[0]) % 2), data)


def _forced_wide(name: str, marked: str | None) -> str | None:
    """The encoding that the user names if it is a wide one, with the order of its bytes: only a file's first piece shows a mark."""
    if name not in _WIDE:
        return name if name.startswith(_WIDE) else None
    return marked if marked and marked.startswith(name) else f"{name}-{sys.byteorder[0]}e"


def _cut_lines(text: str) -> Iterator[tuple[str, int]]:
    """Each line that has an end, without it, and the size with it; only CR, LF, CRLF and CRCRLF count, unlike ``str.splitlines``."""
    if "\r" not in text:
        for line in text.split("\n")[:-1]:
            yield line, len(line) + 1
        return
    start = 0
    for end in _LINE_END.finditer(text):
        yield text[start : end.start()], end.end() - start
        start = end.end()


def _cut_at_lines(stream: BinaryIO, newline: bytes) -> Iterator[bytes]:
    """The stream in pieces of about ``WHOLE_FILE_BYTES``, cut after a line feed where there is one.

    Raises:
        OSError, EOFError, zlib.error: The file is damaged; all that could be read came before.
    """
    rest, damage = b"", None
    while damage is None:
        block, damage = _read_block(stream, WHOLE_FILE_BYTES)
        if not block:
            break
        data = rest + block
        if len(data) < WHOLE_FILE_BYTES:
            rest = data
            continue
        cut = _last_line_end(data, newline)
        yield data[:cut]
        rest = data[cut:]
    if rest:
        yield rest
    if damage:
        raise damage


def _read_block(stream: BinaryIO, size: int) -> tuple[bytes, Exception | None]:
    """So many bytes, or those before the end or a damage, and the damage: a plain ``read`` would lose what it unpacked before that."""
    parts, missing = [], size
    try:
        while missing and (part := cast(BufferedIOBase, stream).read1(missing)):
            parts.append(part)
            missing -= len(part)
    except (OSError, EOFError, zlib.error) as error:
        return b"".join(parts), error
    return b"".join(parts), None


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
