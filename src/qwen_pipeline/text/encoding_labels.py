"""Pieces of a file, each labelled with the encoding that it reads well in.

Large blocks that read well in the encoding at hand are passed at once. A block that does not is cut into cells of a
few lines, and those into lines. A piece may begin or end in the middle of a character of what it turns out to be in;
such bytes, and strange characters, stay open.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import (
    DOUBLE_BYTE,
    MIXABLE,
    UTF8,
    UTF16_BE,
    UTF16_LE,
    WIDE,
    Candidate,
)
from qwen_pipeline.text.encoding_clean import Reading, read, reading_of
from qwen_pipeline.text.encoding_guess import Guess, rank, sample_of
from qwen_pipeline.text.encoding_utf8_lines import find_utf8_lines
from qwen_pipeline.text.language_costs import CHINESE_JAPANESE_KOREAN

PIECE_BYTES = (1 << 16, 1 << 10, 1)  # a block, a cell, a line
BITS_PER_BYTE_OF_JUNK = 9.0
SHORT_BYTES = 32  # so few fit many encodings by chance
_CELL, _LINE = 1, 2
_LONGEST_CUT = 1 << 12  # how far to look for a place where a long line can be cut
_HEAD = 240
_MOST_STRANGE = 0.1
_BITS_FOR_UTF8 = 10.0  # by which a line must be cheaper in UTF-8 than in the encoding at hand
_NARROW = tuple(found for found in MIXABLE if found not in WIDE)
_NEVER_SECOND = 0x2F  # no encoding has a second byte up to here, so bytes can be cut after one
_BETWEEN_CHARACTERS = re.compile(rb"[\x01-\x2f]")
_LEAST_INNER = 0.5  # of a piece, how much must be left if it is cut to whole characters


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes from ``start`` up to ``end``; no candidate where none reads well."""

    start: int
    end: int
    candidate: Candidate | None


def label_pieces(data: bytes, main: Candidate) -> list[Piece]:
    """Pieces that cover the bytes.

    Args:
        data: The bytes of a file, or of a large part of one.
        main: What most of them seem to be in.
    """
    return _Labels(data, main).found


class _Labels:
    def __init__(self, data: bytes, main: Candidate) -> None:
        self.found: list[Piece] = []
        self._data, self._main, self._at_hand = data, main, main
        self._mixed = False  # whether the lines of the last cell were in several encodings
        self._seen: dict[Candidate, None] = {}  # those of lines so far, in order
        self._label_range(0, len(data), 0)

    def _label_range(self, start: int, end: int, level: int) -> None:
        while start < end:
            stop = self._stop(start, end, PIECE_BYTES[level])
            labelled = self._label(start, stop, level)
            if labelled > start:
                start = labelled
                continue
            if level < _LINE and stop - start > PIECE_BYTES[level + 1]:
                before = len(self.found)
                self._label_range(start, stop, level + 1)
                self._mixed = (
                    level == _CELL and len({piece.candidate for piece in self.found[before:]} - {None}) > 1
                )
            else:
                self.found.append(Piece(start, stop, None))
            start = stop

    def _stop(self, start: int, end: int, size: int) -> int:
        """Where a piece of about ``size`` bytes ends: at the end of a character, if that can be known."""
        stop = start + size
        if stop >= end or (size == 1 and self._at_hand in WIDE):
            return end
        return stop if self._at_hand in WIDE else _safe_cut(self._data, start, stop, end)

    def _label(self, start: int, end: int, level: int) -> int:
        """Label a piece that reads well in one encoding, but for a few characters; where the label ends."""
        piece, at_end = self._data[start:end], end == len(self._data)
        for candidate, reading in self._likely(piece, at_end, level == _LINE):
            if reading is not None and _is_fit(reading) and (candidate in WIDE or b"\0" not in piece):
                if level < _LINE and _hides_utf8(piece, candidate):
                    return start
                self._keep(start, end, candidate, reading)
                return end
        inner = self._inner(piece, at_end, level) if len(piece) >= SHORT_BYTES else None
        if inner is not None:
            first, last, candidate, reading = inner
            if first:
                self.found.append(Piece(start, start + first, None))
            self._keep(start + first, start + last, candidate, reading)
            return start + last
        if level == 0 and _is_junk(piece):
            self.found.append(Piece(start, end, self._at_hand))
            return end
        return start

    def _likely(
        self, piece: bytes, at_end: bool, is_line: bool
    ) -> Iterator[tuple[Candidate, Reading | None]]:
        likely = tuple(dict.fromkeys((self._at_hand, self._main, UTF8)))
        if is_line and _is_rather_utf8(piece, self._at_hand):
            likely = (UTF8,)
        for candidate in likely if len(piece) >= SHORT_BYTES else likely[:1]:
            yield candidate, read(piece, candidate, at_end)

    def _inner(self, piece: bytes, at_end: bool, level: int) -> tuple[int, int, Candidate, Reading] | None:
        """The part of the piece that is whole characters of another encoding, with its reading."""
        if level == _CELL and self._mixed and b"\0" not in piece:
            return None  # the next one will be mixed too; UTF-16 has a zero byte in each line end
        if level < _LINE or self._at_hand in WIDE:
            guess, shift = _guess_wide(piece)
            if guess.candidate in WIDE:
                last = len(piece) - (len(piece) - shift) % 2
                reading = read(piece[shift:last], guess.candidate)
                if reading is not None and _is_fit(reading):
                    return shift, last, guess.candidate, reading
        first, last = whole_characters(piece, at_end) if self._at_hand in WIDE else (0, len(piece))
        inner = piece[first:last]
        if len(inner) < _LEAST_INNER * len(piece) or b"\0" in inner:
            return None
        # pricing all candidates takes a hundred times as long
        for candidate in self._seen if level == _LINE else ():
            reading = read(inner, candidate, at_end)
            if reading is not None and reading.is_certain():
                return first, last, candidate, reading
        for guess in rank(sample_of(inner), _NARROW)[:2]:
            reading = read(inner, guess.candidate, at_end)
            if reading is not None and not reading.strange:
                is_mixed = level < _LINE and _hides_utf8(inner, guess.candidate)
                return None if is_mixed else (first, last, guess.candidate, reading)
        return None

    def _keep(self, start: int, end: int, candidate: Candidate, reading: Reading) -> None:
        """Label a piece, and leave its strange parts open."""
        self._at_hand = candidate
        if candidate in DOUBLE_BYTE:
            self._seen[candidate] = None
        at, char = start, 0
        for first, last in reading.strange:
            clean_end = at + len(reading.text[char:first].encode(reading.name))
            open_end = clean_end + len(reading.text[first:last].encode(reading.name))
            self.found += [Piece(at, clean_end, candidate), Piece(clean_end, open_end, None)]
            at, char = open_end, last
        self.found.append(Piece(at, end, candidate))


def _guess_wide(piece: bytes) -> tuple[Guess, int]:
    """The cheapest reading of the piece's head, and at which byte it begins if it is a wide one."""
    aligned = rank(piece[:_HEAD], MIXABLE)[0]
    shifted = rank(piece[1 : _HEAD + 1], (UTF16_LE, UTF16_BE))[0]
    return (shifted, 1) if shifted.bits < aligned.bits else (aligned, 0)


def whole_characters(piece: bytes, at_end: bool = False) -> tuple[int, int]:
    """Bounds of the piece's whole characters in a narrow encoding; 0 and 0 where they cannot be known."""
    found = _BETWEEN_CHARACTERS.search(piece)
    if found is None:
        return 0, 0
    last = len(piece)
    while not at_end and last and not 0 < piece[last - 1] <= _NEVER_SECOND:
        last -= 1
    return found.end(), last


def _is_junk(block: bytes) -> bool:
    """Whether a large block is no text: not at its start, nor in the middle, nor at the end."""
    if len(block) < PIECE_BYTES[1]:
        return False
    samples = [block[at : at + _HEAD] for at in (0, len(block) // 2, len(block) - _HEAD)]
    return all(_guess_wide(part)[0].bits > BITS_PER_BYTE_OF_JUNK * len(part) for part in samples)


def _is_fit(reading: Reading) -> bool:
    """Whether a text is right but for a few characters."""
    strange = sum(end - start for start, end in reading.strange)
    return strange <= _MOST_STRANGE * len(reading.text)


def _is_rather_utf8(line: bytes, at_hand: Candidate) -> bool:
    """Whether a line is valid UTF-8 and much cheaper so, though it may fit the encoding at hand."""
    if at_hand is UTF8 or line.isascii():
        return False
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if reading_of(text, "utf-8", CHINESE_JAPANESE_KOREAN).is_certain():
        return True
    guesses = {guess.candidate: guess.bits for guess in rank(line, (UTF8, at_hand))}
    return guesses[UTF8] + _BITS_FOR_UTF8 < guesses[at_hand]


def _hides_utf8(piece: bytes, candidate: Candidate) -> bool:
    """Whether some line is rather UTF-8, though the whole piece may fit the encoding."""
    if candidate is UTF8 or candidate in WIDE:
        return False
    return any(_is_rather_utf8(piece[start:end], candidate) for start, end, _ in find_utf8_lines(piece))


def _safe_cut(data: bytes, start: int, stop: int, end: int) -> int:
    at = data.rfind(b"\n", start, stop)
    if at >= 0:
        return at + 1
    if stop - start == 1:
        return data.find(b"\n", stop, end) + 1 or end
    for place in range(stop, min(end, stop + _LONGEST_CUT)):
        if data[place - 1] <= _NEVER_SECOND:
            return place
    return stop
