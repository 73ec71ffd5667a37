"""The line before and the line after each change of encoding, opened so that the change is searched to the byte.

A short line can read well in the encoding of its neighbours by chance; beside a change it is looked at again.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from qwen_pipeline.text.encoding_candidates import WIDE
from qwen_pipeline.text.encoding_labels import Piece, whole_characters

_OPENED_BYTES = 128  # on each side
_MOST_BORDERS = 512  # of one file; in a file of very many changes lines are what they read like


def open_borders(data: bytes, pieces: Sequence[Piece]) -> list[Piece]:
    """The same pieces with those beside a change cut in two, the part towards the change open.

    Args:
        data: The bytes that the pieces cover.
        pieces: Pieces in order.
    """
    known = [place for place, piece in enumerate(pieces) if piece.candidate is not None]
    borders = [
        (first, second)
        for first, second in pairwise(known)
        if pieces[first].candidate is not pieces[second].candidate
    ][:_MOST_BORDERS]
    before_change = {first for first, _ in borders}
    after_change = {second for _, second in borders}
    opened: list[Piece] = []
    for place, piece in enumerate(pieces):
        opened += _split(data, piece, place in after_change, place in before_change)
    return opened


def _split(data: bytes, piece: Piece, at_start: bool, at_end: bool) -> Iterator[Piece]:
    start = _first_cut(data, piece) if at_start else piece.start
    end = _last_cut(data, piece) if at_end else piece.end
    if start >= end:
        yield Piece(piece.start, piece.end, None)
        return
    if start > piece.start:
        yield Piece(piece.start, start, None)
    yield Piece(start, end, piece.candidate)
    if end < piece.end:
        yield Piece(end, piece.end, None)


def _first_cut(data: bytes, piece: Piece) -> int:
    """Where a character begins some way after the piece's start; the start itself where none is found."""
    stop = min(piece.start + _OPENED_BYTES, piece.end)
    if piece.candidate in WIDE or stop == piece.end:
        return stop
    line_end = data.find(b"\n", piece.start, stop) + 1
    return line_end or piece.start + whole_characters(data[piece.start : stop])[1]


def _last_cut(data: bytes, piece: Piece) -> int:
    """Where a character begins some way before the piece's end; the end itself where none is found."""
    start = max(piece.end - _OPENED_BYTES, piece.start)
    if start == piece.start:
        return start
    if piece.candidate in WIDE:
        return start + (start - piece.start) % 2
    line_start = data.rfind(b"\n", start, piece.end - 1) + 1
    if line_start:
        return line_start
    first, _ = whole_characters(data[start : piece.end])
    return start + first if first else piece.end
