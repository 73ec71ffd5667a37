"""Where bytes change from one encoding to another, to the byte: the cheapest path through all readings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import WIDE, Candidate
from qwen_pipeline.text.encoding_units import places_of
from qwen_pipeline.text.language_costs import BITS

CHANGE = 130  # quarter bits for a change of encoding anywhere
CHANGE_AT_LINE = 90  # after a line feed
GLUED = 12  # more for a change to UTF-16 behind an ASCII letter: two of those may be its first ideograph
EXPECTED = 40  # for beginning a file in another encoding than expected
_FAR = 1 << 40
_LETTERS = frozenset((*range(0x41, 0x5B), *range(0x61, 0x7B)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes from ``start`` up to ``end`` in one encoding."""

    start: int
    end: int
    candidate: Candidate


def find_changes(
    data: bytes,
    candidates: Sequence[Candidate],
    first: Candidate | None,
    last: Candidate | None,
    before: bytes = b"",
) -> tuple[list[Stretch], float]:
    """Cut bytes into stretches of one encoding each.

    Args:
        data: The bytes; takes about two microseconds a byte, so they should be few.
        candidates: The encodings that may occur.
        first: What the bytes before are in, if anything.
        last: The same for those after.
        before: The last two bytes before these; empty where the file begins, so that ``first`` is only expected.

    Returns:
        Stretches that cover the bytes, neighbours in different encodings, and what the reading costs in bits.
    """
    size, states = len(data), range(len(candidates))
    places = [tuple(part.tolist() for part in places_of(data, candidate)) for candidate in candidates]
    best = [[_FAR] * (size + 4) for _ in states]
    is_wide = [candidate in WIDE for candidate in candidates]
    rarity = [round(BITS * candidate.bits) for candidate in candidates]
    came_from = [[0] * (size + 4) for _ in states]  # place times states plus state
    entry = _cost_of_change(before) if before else EXPECTED
    for state, candidate in enumerate(candidates):
        best[state][0] = 0 if first in (None, candidate) else entry + rarity[state]
    for place in range(size):
        here = [row[place] for row in best]
        least = min(here)
        if least >= _FAR:
            continue
        cheapest = here.index(least)
        changed = least + _cost_of_change(data[max(place - 2, 0) : place])
        glued = GLUED if place and not is_wide[cheapest] and data[place - 1] in _LETTERS else 0
        for state in states:
            cost, source = here[state], state
            entered = changed + rarity[state] + (glued if is_wide[state] else 0)
            if entered < cost:
                cost, source = entered, cheapest
            costs, lengths = places[state]
            after = place + lengths[place]
            cost += costs[place]
            row = best[state]
            if cost < row[after]:
                row[after] = cost
                came_from[state][after] = place * len(candidates) + source
    leaving = _cost_of_change(data[-2:])
    ends = [best[state][size] + (0 if last in (None, candidates[state]) else leaving) for state in states]
    least = min(ends)
    return _path_back(came_from, size, ends.index(least), candidates), least / BITS


def _cost_of_change(before: bytes) -> int:
    """What it costs to change behind these two bytes, in quarter bits."""
    return CHANGE_AT_LINE if before.endswith((b"\n", b"\n\0")) else CHANGE


def _path_back(
    came_from: list[list[int]], place: int, state: int, candidates: Sequence[Candidate]
) -> list[Stretch]:
    stretches: list[Stretch] = []
    end = place
    while place > 0:
        place, source = divmod(came_from[state][place], len(candidates))
        if source != state or place == 0:
            stretches.append(Stretch(place, end, candidates[state]))
            end = place
        state = source
    return merge(reversed(stretches))


def merge(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Neighbours in the same encoding become one."""
    merged: list[Stretch] = []
    for found in stretches:
        if merged and merged[-1].candidate is found.candidate:
            merged[-1] = Stretch(merged[-1].start, found.end, found.candidate)
        elif found.end > found.start:
            merged.append(found)
    return merged
