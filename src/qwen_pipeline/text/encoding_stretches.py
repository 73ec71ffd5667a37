"""A file cut into stretches of one encoding each.

Large blocks that read well in the encoding at hand are passed at once. A block that does not is cut into cells
of a few lines; cells that read well in one encoding are labelled with it, and those between or around a change are
searched byte by byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import (
    MIXABLE,
    UTF8,
    UTF32,
    WIDE,
    Candidate,
)
from qwen_pipeline.text.encoding_change import Stretch, find_changes, merge
from qwen_pipeline.text.encoding_clean import is_clean
from qwen_pipeline.text.encoding_guess import rank
from qwen_pipeline.text.encoding_sample import sample_of

BLOCK_BYTES = 1 << 16
CELL_BYTES = 1 << 10
MOST_SEARCHED_BYTES = (
    1 << 18
)  # of one piece, byte by byte; beyond that a cell is read in its cheapest encoding
_SEARCHED_AT_ONCE = 1 << 14
_BITS_PER_BYTE_OF_JUNK = 7.6
_BITS_OF_A_FEW_FAULTS = 150
_NEVER_SECOND = 0x2F  # no encoding has a second byte up to here, so bytes can be cut after one


def cut_into_stretches(data: bytes, main: Candidate) -> list[Stretch]:
    """Stretches that cover the bytes.

    Args:
        data: The bytes of a file, or of a large part of one.
        main: What most of them seem to be in.
    """
    labels: list[_Piece] = []
    at_hand = main
    for start, end in _pieces(data, 0, len(data), BLOCK_BYTES, main):
        found = _label(data, start, end, (at_hand, main, UTF8))
        if found is not None:
            labels.append(_Piece(start, end, found))
            at_hand = found
            continue
        for cell_start, cell_end in _pieces(data, start, end, CELL_BYTES, main):
            found = _label(data, cell_start, cell_end, (at_hand, main, UTF8))
            labels.append(_Piece(cell_start, cell_end, found))
            at_hand = found or at_hand
    return merge(_search_open_pieces(data, labels, main))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes from ``start`` up to ``end``; no candidate where none reads well."""

    start: int
    end: int
    candidate: Candidate | None


def _label(data: bytes, start: int, end: int, likely: tuple[Candidate, ...]) -> Candidate | None:
    """The encoding that a piece reads well in; None where there is none."""
    piece, at_end = data[start:end], end == len(data)
    for candidate in dict.fromkeys(likely):
        if is_clean(piece, candidate, at_end):
            return candidate
    for guess in rank(sample_of(piece), MIXABLE)[:2]:
        if guess.candidate not in likely and is_clean(piece, guess.candidate, at_end):
            return guess.candidate
    return None


def _pieces(data: bytes, start: int, end: int, size: int, main: Candidate) -> Iterator[tuple[int, int]]:
    """Bounds of pieces of about ``size`` bytes that begin where a character begins, if that can be known."""
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
    for place in range(stop, min(end, stop + 4 * CELL_BYTES)):
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
    index = 0
    while index < len(labels):
        first = last = labels[index]
        index += 1
        while (
            first.candidate is None
            and index < len(labels)
            and labels[index].candidate is None
            and labels[index].end - first.start <= _SEARCHED_AT_ONCE
        ):
            last = labels[index]
            index += 1
        after = labels[index].candidate if index < len(labels) else None
        yield first.start, last.end, first.candidate, after


def _candidates_for(piece: bytes, *known: Candidate | None) -> list[Candidate]:
    """Which encodings to search among: the wide ones only where something speaks for them."""
    wide = len(piece) <= CELL_BYTES or any(found in WIDE for found in known) or b"\0" in piece
    likely = [guess.candidate for guess in rank(sample_of(piece), MIXABLE)[:2]]
    mixable = [found for found in MIXABLE if found not in WIDE or wide or found in likely]
    return list(dict.fromkeys([*(found for found in known if found not in (None, *UTF32)), *mixable]))
