"""A file cut into stretches of one encoding each.

What reads well in one encoding is labelled with it. The few bytes around a change, or around rare characters, stay
open and are searched byte by byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qwen_pipeline.text.encoding_borders import open_borders
from qwen_pipeline.text.encoding_candidates import MIXABLE, UTF32, WIDE, Candidate
from qwen_pipeline.text.encoding_change import Stretch, find_changes, merge
from qwen_pipeline.text.encoding_guess import rank, sample_of
from qwen_pipeline.text.encoding_labels import (
    BITS_PER_BYTE_OF_JUNK,
    PIECE_BYTES,
    SHORT_BYTES,
    Piece,
    label_pieces,
)

MOST_SEARCHED_BYTES = 1 << 18  # of one file, byte by byte; the rest is read as what stands before it
_SEARCHED_AT_ONCE = 1 << 14
_BITS_OF_A_FEW_FAULTS = 150
_TOO_FEW_TO_RANK = 256


def cut_into_stretches(data: bytes, main: Candidate) -> list[Stretch]:
    """Stretches that cover the bytes.

    Args:
        data: The bytes of a file, or of a large part of one.
        main: What most of them seem to be in.
    """
    return merge(_search_open_pieces(data, open_borders(data, label_pieces(data, main)), main))


def _search_open_pieces(data: bytes, labels: Sequence[Piece], main: Candidate) -> Iterator[Stretch]:
    last_seen, searched, end = main, 0, 0
    for stop, known, after, goes_on in _runs(labels):
        start, end = end, stop
        searched += 0 if known else end - start
        if known is not None or searched > MOST_SEARCHED_BYTES:
            last_seen = known or last_seen
            yield Stretch(start, end, last_seen)
            continue
        piece = data[start:end]
        candidates = _candidates_for(piece, last_seen, after, main)
        found, bits = find_changes(piece, candidates, last_seen, after, data[max(start - 2, 0) : start])
        if bits > BITS_PER_BYTE_OF_JUNK * len(piece) + _BITS_OF_A_FEW_FAULTS:
            searched = MOST_SEARCHED_BYTES
            found = [Stretch(0, len(piece), last_seen)]
        if goes_on and found[-1].candidate in WIDE and (found[-1].end - found[-1].start) % 2:
            end -= 1  # half a character, whose other half comes with the next bytes
            found[-1] = replace(found[-1], end=found[-1].end - 1)
        for stretch in found:
            last_seen = stretch.candidate
            yield Stretch(start + stretch.start, start + stretch.end, last_seen)


def _runs(labels: Sequence[Piece]) -> Iterator[tuple[int, Candidate | None, Candidate | None, bool]]:
    """Ends of pieces, open neighbours joined while short: with candidate, the next one's, and whether that is open."""
    is_open = [piece.candidate is None for piece in labels]
    for place in range(1, len(labels) - 1):
        # A few bytes between unreadable ones fit many encodings by chance.
        if is_open[place - 1] and labels[place + 1].candidate is None and _is_short(labels[place]):
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
        goes_on = index < len(labels) and is_open[index]
        yield last.end, None if opened else first.candidate, after, opened and goes_on


def _is_short(piece: Piece) -> bool:
    return piece.end - piece.start < SHORT_BYTES


def _candidates_for(piece: bytes, *known: Candidate | None) -> list[Candidate]:
    """Which encodings to search among: the wide ones only where something speaks for them."""
    if len(piece) <= _TOO_FEW_TO_RANK:
        return list(dict.fromkeys([*(found for found in known if found not in (None, *UTF32)), *MIXABLE]))
    wide = len(piece) <= PIECE_BYTES[1] or any(found in WIDE for found in known) or b"\0" in piece
    likely = [guess.candidate for guess in rank(sample_of(piece), MIXABLE)[:2]]
    mixable = [found for found in MIXABLE if found not in WIDE or wide or found in likely]
    return list(dict.fromkeys([*(found for found in known if found not in (None, *UTF32)), *mixable]))
