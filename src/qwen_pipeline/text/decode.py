"""Bytes to text: a byte order mark decides, then escape sequences, then strict UTF-8, then what each reading costs as language.

A file that changes its encoding is decoded stretch by stretch, each with an encoding and a confidence of its own.
Bytes that fit no character are given with their places.
"""

import bisect
import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from qwen_pipeline.text.decode_losses import Loss, decode_with_losses
from qwen_pipeline.text.encoding_candidates import BY_NAME, MIXABLE, UTF8, WIDE, Candidate
from qwen_pipeline.text.encoding_change import Stretch
from qwen_pipeline.text.encoding_clean import read
from qwen_pipeline.text.encoding_escaped import read_escaped
from qwen_pipeline.text.encoding_guess import SUREST, rank, sample_of
from qwen_pipeline.text.encoding_main import find_main, is_doubtful_utf8
from qwen_pipeline.text.encoding_stretches import cut_into_stretches

# A byte order mark, the encoding, and how it is told. UTF-8 comes first; the wide ones follow, the widest first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
)
_MARK = "\ufeff"


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
        text: The text, without a byte order mark; bytes that fit nothing are U+FFFD.
        spans: Stretches that cover the text in order.
        losses: The bytes that nobody could read, with the character that stands for them.
    """

    text: str
    spans: tuple[Span, ...]
    losses: tuple[Loss, ...] = field(default=())

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

    Raises:
        LookupError: Nobody knows the forced encoding.
    """
    if encoding:
        return _forced(data, encoding)
    for mark, name, told in MARKS:
        if data.startswith(mark):
            return _marked(data, len(mark), BY_NAME[name], told)
    if (escaped := read_escaped(data)) is not None:
        text, name = escaped
        return Decoded(text, (Span(0, len(text), name, SUREST),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if not is_doubtful_utf8(data, text):
            return Decoded(text, (Span(0, len(text), "utf-8", 1.0),) if text else ())
    main = find_main(data)
    return _joined(data, cut_into_stretches(data, main.candidate), 0, {main.candidate: main.confidence})


def _forced(data: bytes, encoding: str) -> Decoded:
    text, losses, _ = decode_with_losses(data, codecs.lookup(encoding).name)
    kept = text.removeprefix(_MARK)
    shift = len(text) - len(kept)
    moved = tuple(Loss(loss.char - shift, loss.start_byte, loss.end_byte) for loss in losses)
    return Decoded(kept, (Span(0, len(kept), encoding, 1.0),) if kept else (), moved)


def _marked(data: bytes, skipped: int, candidate: Candidate, told: str) -> Decoded:
    """A file with a byte order mark, which may still go on in another encoding."""
    rest = data[skipped:]
    stretches = cut_into_stretches(rest, candidate)
    return _joined(rest, stretches, skipped, {candidate: 1.0}, {candidate: told})


def _joined(
    data: bytes,
    stretches: Iterable[Stretch],
    skipped: int,
    known: dict[Candidate, float],
    names: dict[Candidate, str] | None = None,
) -> Decoded:
    """The stretches' texts as one, places of losses counted from the start of the file."""
    parts: list[str] = []
    spans: list[Span] = []
    losses: list[Loss] = []
    chars = 0
    for stretch in stretches:
        piece = data[stretch.start : stretch.end]
        text, lost, name = decode_with_losses(piece, stretch.candidate.name)
        shift = chars - (1 if text.startswith(_MARK) else 0)
        text = text.removeprefix(_MARK)
        start = skipped + stretch.start
        losses += [Loss(shift + loss.char, start + loss.start_byte, start + loss.end_byte) for loss in lost]
        if not text:
            continue
        name = (names or {}).get(stretch.candidate, name)
        spans.append(Span(chars, chars + len(text), name, _confidence(piece, stretch.candidate, known)))
        parts.append(text)
        chars += len(text)
    return Decoded("".join(parts), tuple(spans), tuple(losses))


def _confidence(piece: bytes, candidate: Candidate, known: dict[Candidate, float]) -> float:
    if candidate in known:
        return known[candidate]
    if candidate is UTF8 or candidate in WIDE:
        return SUREST
    reading = read(sample_of(piece), candidate, at_end=True)
    if reading is not None and reading.is_certain():
        return SUREST
    guesses = rank(sample_of(piece), (candidate, *(found for found in MIXABLE if found is not candidate)))
    return next(guess.confidence for guess in guesses if guess.candidate is candidate)
