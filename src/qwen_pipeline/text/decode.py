"""Bytes to text: a byte order mark decides, then strict UTF-8, then a detector; spans where a file changes.

A file of UTF-8 lines with some lines in another encoding is decoded line by line, so that each stretch
has an encoding and a confidence of its own.
"""

import bisect
import codecs
import re
from dataclasses import dataclass, field
from functools import cached_property

from qwen_pipeline.text.encoding_utf16 import find_utf16

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CANDIDATES = [
    "utf-8", "gb18030", "big5hkscs", "big5", "cp932", "shift_jis", "euc-jp", "euc-kr",
    "utf-16-le", "utf-16-be", "windows-1252", "ascii",
]  # fmt: skip
# Where a few characters stand in much ASCII, a Western or Korean reading nearly always fits and is nearly never meant.
CANDIDATES_FOR_SPARSE = [
    "utf-8", "gb18030", "big5hkscs", "big5", "cp932", "shift_jis", "euc-jp", "ascii",
]  # fmt: skip
MOST_HIGH_BYTES_OF_SPARSE = 0.2
SAMPLE_BYTES = 200_000
LEAST_SHARE_OF_UTF8 = 0.2  # of the lines with bytes above ASCII, before a file counts as mixed
_ASCII_BYTES = bytes(range(0x80))
_LINES = re.compile(rb"[^\n]*\n|[^\n]+$")


@dataclass(frozen=True)
class Span:
    """A stretch of the text from one encoding; characters from ``start_char`` up to ``end_char``."""

    start_char: int
    end_char: int
    encoding: str
    confidence: float


@dataclass(frozen=True)
class Decoded:
    """A decoded piece of a file.

    Attributes:
        text: The text, without a byte order mark; a byte that fits nothing is U+FFFD.
        spans: Stretches that cover the text in order.
        undecodable: Characters of the text (offsets) that stand for bytes nobody could read.
    """

    text: str
    spans: tuple[Span, ...]
    undecodable: tuple[int, ...] = field(default=())

    def encoding_at(self, char_offset: int) -> tuple[str, float]:
        """Encoding and confidence of the character at ``char_offset``."""
        if not self.spans:
            return "utf-8", 1.0
        place = max(bisect.bisect_right(self._starts, char_offset) - 1, 0)
        return self.spans[place].encoding, self.spans[place].confidence

    @cached_property
    def _starts(self) -> list[int]:
        return [span.start_char for span in self.spans]


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Decode a piece of a file.

    Args:
        data: Its bytes.
        encoding: Forces an encoding.
    """
    if encoding:
        return _whole(data, encoding, 1.0)
    for bom, name in BOMS:
        if data.startswith(bom):
            return _whole(data, name, 1.0)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        utf16 = find_utf16(data)
        return _whole(data, *utf16) if utf16 else _mixed(data) or _detected(data)
    # Right UTF-8 above ASCII is never UTF-16 by chance; ASCII bytes may be.
    utf16 = find_utf16(data) if text.isascii() or "\0" in text else None
    return _whole(data, *utf16) if utf16 else _one(text, "utf-8", 1.0)


def _whole(data: bytes, encoding: str, confidence: float) -> Decoded:
    return _one(data.decode(encoding, errors="replace").lstrip("\ufeff"), encoding, confidence)


def _one(text: str, encoding: str, confidence: float) -> Decoded:
    lost = tuple(found.start() for found in re.finditer("\ufffd", text)) if encoding != "utf-8" else ()
    return Decoded(text, (Span(0, len(text), encoding, confidence),) if text else (), lost)


def _mixed(data: bytes) -> Decoded | None:
    """A file whose lines are partly UTF-8 and partly not; ``None`` where hardly a line is UTF-8."""
    lines = [(line, _is_utf8(line)) for line in _LINES.findall(data)]
    high = [fits for line, fits in lines if not line.isascii()]
    if not high or sum(high) < max(1, LEAST_SHARE_OF_UTF8 * len(high)):
        return None
    other = _detected(b"".join(line for line, fits in lines if not fits))
    name, confidence = other.encoding_at(0)
    parts: list[str] = []
    spans: list[Span] = []
    place = 0
    for line, fits in lines:
        text = line.decode("utf-8") if fits else line.decode(name, errors="replace")
        mark = ("utf-8", 1.0) if fits else (name, confidence)
        if spans and (spans[-1].encoding, spans[-1].confidence) == mark:
            spans[-1] = Span(spans[-1].start_char, place + len(text), *mark)
        else:
            spans.append(Span(place, place + len(text), *mark))
        parts.append(text)
        place += len(text)
    joined = "".join(parts)
    return Decoded(joined, tuple(spans), tuple(found.start() for found in re.finditer("\ufffd", joined)))


def _is_utf8(line: bytes) -> bool:
    return _fits(line, "utf-8")


def _fits(data: bytes, encoding: str | None) -> bool:
    try:
        data.decode(encoding or "ascii")
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _detected(data: bytes) -> Decoded:
    import chardet

    sample = data[:SAMPLE_BYTES]
    candidates = CANDIDATES
    if len(sample.translate(None, _ASCII_BYTES)) <= MOST_HIGH_BYTES_OF_SPARSE * len(sample):
        candidates = CANDIDATES_FOR_SPARSE
    found = chardet.detect(sample, prefer_superset=True, include_encodings=candidates)
    if candidates is CANDIDATES_FOR_SPARSE and not _fits(data, found["encoding"]):
        found = chardet.detect(sample, prefer_superset=True, include_encodings=CANDIDATES)
    name = str(found["encoding"] or "gb18030").lower()
    confidence = float(found["confidence"] or 0.0)
    try:
        return _one(data.decode(name), name, confidence)
    except (UnicodeDecodeError, LookupError):
        fallback = name if name != "utf-8" else "gb18030"
        try:
            return _one(data.decode(fallback, errors="replace"), fallback, min(confidence, 0.5))
        except LookupError:
            return _one(data.decode("gb18030", errors="replace"), "gb18030", 0.5)
