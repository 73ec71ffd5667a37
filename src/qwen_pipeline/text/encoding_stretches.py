"""A file cut into stretches of one encoding each.

Large blocks that read well in the encoding at hand are passed at once. A block that does not is cut into cells
of a few lines, and those into lines; what then reads well in one encoding is labelled with it. The few bytes
around a change, or around rare characters, stay open and are searched byte by byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import MIXABLE, UTF8, UTF32, WIDE, Candidate
from qwen_pipeline.text.encoding_change import Stretch, find_changes, merge
from qwen_pipeline.text.encoding_clean import Reading, read
from qwen_pipeline.text.encoding_guess import rank
from qwen_pipeline.text.encoding_sample import sample_of

PIECE_BYTES = (1 << 16, 1 << 10, 1)  # a block, a cell, a line
MOST_SEARCHED_BYTES = 1 << 18  # of one file, byte by byte; the rest is read as what stands before it
_SEARCHED_AT_ONCE = 1 << 14
_LONGEST_CUT = 1 << 12  # how far to look for a place where a long line can be cut
_BITS_PER_BYTE_OF_JUNK = 9.0
_BITS_OF_A_FEW_FAULTS = 150
_JUNK_SAMPLE = 240
_TINY_BYTES = 32
_MOST_STRANGE = 0.1
_BITS_FOR_UTF8 = 10.0  # by which a line must be cheaper in UTF-8 than in the encoding at hand
_NARROW = tuple(found for found in MIXABLE if found not in WIDE)
_NEVER_SECOND = 0x2F  # no encoding has a second byte up to here, so bytes can be cut after one


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes from ``start`` up to ``end``; no candidate where none reads well."""

    start: int
    end: int
    candidate: Candidate | None


def cut_into_stretches(data: bytes, main: Candidate) -> list[Stretch]:
    """Stretches that cover the bytes.

    Args:
        data: The bytes of a file, or of a large part of one.
        main: What most of them seem to be in.
    """
    return merge(_search_open_pieces(data, _Labels(data, main).found, main))


class _Labels:
    """Pieces of a file with the encoding that each reads well in."""

    def __init__(self, data: bytes, main: Candidate) -> None:
        self.found: list[_Piece] = []
        self._data, self._main, self._at_hand = data, main, main
        self._label_range(0, len(data), 0)

    def _label_range(self, start: int, end: int, level: int) -> None:
        for first, last in _pieces(self._data, start, end, PIECE_BYTES[level], self._main):
            if self._label(first, last, level):
                continue
            if level + 1 < len(PIECE_BYTES) and last - first > PIECE_BYTES[level + 1]:
                self._label_range(first, last, level + 1)
            else:
                self.found.append(_Piece(first, last, None))

    def _label(self, start: int, end: int, level: int) -> bool:
        """Label a piece if it reads well in one encoding, but for a few characters."""
        piece, at_end = self._data[start:end], end == len(self._data)
        is_line = level == len(PIECE_BYTES) - 1
        likely = tuple(dict.fromkeys((self._at_hand, self._main, UTF8)))
        if is_line and _is_rather_utf8(piece, self._at_hand):
            likely = (UTF8,)
        readings = {candidate: read(piece, candidate, at_end) for candidate in likely[:1]}
        for candidate in likely:
            reading = readings.get(candidate) or read(piece, candidate, at_end)
            if reading is not None and _is_fit(reading) and (candidate in WIDE or b"\0" not in piece):
                self._keep(start, end, candidate, reading)
                return True
        if level == 0 and _is_junk(piece):
            self.found.append(_Piece(start, end, self._at_hand))
            return True
        if level and self._main in WIDE:
            return False
        # Cells and lines begin after a line feed byte, which for UTF-16 is no place to begin.
        for guess in rank(sample_of(piece), MIXABLE if not level else _NARROW)[:2]:
            reading = read(piece, guess.candidate, at_end) if guess.candidate not in likely else None
            if reading is not None and not reading.strange:
                self._keep(start, end, guess.candidate, reading)
                return True
        return False

    def _keep(self, start: int, end: int, candidate: Candidate, reading: Reading) -> None:
        """Label a piece, and leave its strange parts open."""
        self._at_hand = candidate
        at, char = start, 0
        for first, last in reading.strange:
            clean_end = at + len(reading.text[char:first].encode(reading.name))
            open_end = clean_end + len(reading.text[first:last].encode(reading.name))
            self.found += [_Piece(at, clean_end, candidate), _Piece(clean_end, open_end, None)]
            at, char = open_end, last
        self.found.append(_Piece(at, end, candidate))


def _is_junk(block: bytes) -> bool:
    """Whether a large block is no text: not at its start, nor in the middle, nor at the end."""
    if len(block) < PIECE_BYTES[1]:
        return False
    samples = [block[at : at + _JUNK_SAMPLE] for at in (0, len(block) // 2, len(block) - _JUNK_SAMPLE)]
    return all(rank(part, MIXABLE)[0].bits > _BITS_PER_BYTE_OF_JUNK * len(part) for part in samples)


def _is_fit(reading: Reading) -> bool:
    """Whether a text is right but for a few characters."""
    strange = sum(end - start for start, end in reading.strange)
    return strange <= _MOST_STRANGE * len(reading.text)


def _is_rather_utf8(line: bytes, at_hand: Candidate) -> bool:
    """Whether a line is valid UTF-8 and much cheaper so, though it may fit the encoding at hand."""
    if at_hand is UTF8 or line.isascii():
        return False
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    guesses = {guess.candidate: guess.bits for guess in rank(line, (UTF8, at_hand))}
    return guesses[UTF8] + _BITS_FOR_UTF8 < guesses[at_hand]


def _pieces(data: bytes, start: int, end: int, size: int, main: Candidate) -> Iterator[tuple[int, int]]:
    """Bounds of pieces of about ``size`` bytes that begin where a character begins, if that can be known."""
    if main in WIDE and size == 1:
        yield start, end
        return
    while start < end:
        stop = start + size
        if stop >= end:
            stop = end
        elif main not in WIDE:
            stop = _safe_cut(data, start, stop, end)
        yield start, stop
        start = stop


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


def _search_open_pieces(data: bytes, labels: Sequence[_Piece], main: Candidate) -> Iterator[Stretch]:
    last_seen, searched = main, 0
    for start, end, known, after in _runs(labels):
        if known is not None:
            last_seen = known
            yield Stretch(start, end, known)
            continue
        searched += end - start
        piece = data[start:end]
        if searched > MOST_SEARCHED_BYTES:
            yield Stretch(start, end, last_seen)
            continue
        candidates = _candidates_for(piece, last_seen, after, main)
        found, bits = find_changes(piece, candidates, last_seen, after, at_start=start == 0)
        if bits > _BITS_PER_BYTE_OF_JUNK * len(piece) + _BITS_OF_A_FEW_FAULTS:
            searched = MOST_SEARCHED_BYTES
            found = [Stretch(0, len(piece), last_seen)]
        for stretch in found:
            last_seen = stretch.candidate
            yield Stretch(start + stretch.start, start + stretch.end, last_seen)


def _runs(labels: Sequence[_Piece]) -> Iterator[tuple[int, int, Candidate | None, Candidate | None]]:
    """Pieces, open neighbours joined while short, each with the candidate of the piece after it."""
    is_open = [piece.candidate is None for piece in labels]
    for place in range(1, len(labels) - 1):
        # A few bytes between unreadable ones fit many encodings by chance.
        if is_open[place - 1] and labels[place + 1].candidate is None and _is_tiny(labels[place]):
            is_open[place] = True
    index = 0
    while index < len(labels):
        first = last = labels[index]
        opened = is_open[index]
        index += 1
        while (
            opened
            and index < len(labels)
            and is_open[index]
            and labels[index].end - first.start <= _SEARCHED_AT_ONCE
        ):
            last = labels[index]
            index += 1
        after = labels[index].candidate if index < len(labels) and not is_open[index] else None
        yield first.start, last.end, None if opened else first.candidate, after


def _is_tiny(piece: _Piece) -> bool:
    return piece.end - piece.start < _TINY_BYTES


def _candidates_for(piece: bytes, *known: Candidate | None) -> list[Candidate]:
    """Which encodings to search among: the wide ones only where something speaks for them."""
    wide = len(piece) <= PIECE_BYTES[1] or any(found in WIDE for found in known) or b"\0" in piece
    likely = [guess.candidate for guess in rank(sample_of(piece), MIXABLE)[:2]]
    mixable = [found for found in MIXABLE if found not in WIDE or wide or found in likely]
    return list(dict.fromkeys([*(found for found in known if found not in (None, *UTF32)), *mixable]))
