"""Whether a whole piece reads well in one encoding, or has a stretch that looks like another one."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from qwen_pipeline.text.encoding_candidates import UTF8, Candidate
from qwen_pipeline.text.encoding_guess import is_cut_character
from qwen_pipeline.text.language_costs import cheapest_costs, units_of

WINDOW = 8  # characters
_AROUND = 12  # characters on both sides of a strange window that are looked at with it
_USUAL = 50  # quarter bits: above what nearly every character of right text costs
_STEP = 4
_MOST = 7  # so that a window's sum stays within eight bits
# A window's sum above which it is looked at. In right Chinese text one window in 10,000 is above 2 and hardly one
# above 8; in text read wrongly half of all windows are above 18. Source: measured on the decoding benchmark's texts.
_WORST = 9


@dataclass(frozen=True, slots=True)
class Reading:
    """What a candidate makes of some bytes.

    Attributes:
        text: The text, without a last character that the file's end cut off.
        name: The form of the encoding that all bytes fit.
        strange: Parts of the text, as character offsets, whose characters are rare in the encoding's languages.
    """

    text: str
    name: str
    strange: tuple[tuple[int, int], ...]


def read(data: bytes, candidate: Candidate, at_end: bool = False) -> Reading | None:
    """The bytes' text in an encoding; None where they don't fit it.

    Args:
        data: The bytes.
        candidate: The encoding.
        at_end: Whether the file ends here, so that a last character may be cut off.
    """
    for name in (candidate.name, *candidate.wider):
        try:
            text = data.decode(name)
        except UnicodeDecodeError as error:
            if not (at_end and is_cut_character(error)):
                continue
            text = data[: error.start].decode(name)
        return Reading(text, name, () if candidate is UTF8 else _strange_parts(text, candidate))
    return None


def is_clean(data: bytes, candidate: Candidate, at_end: bool = False) -> bool:
    """Whether all bytes are characters of the encoding, and usual ones; arguments as for ``read``."""
    reading = read(data, candidate, at_end)
    return reading is not None and not reading.strange


def _strange_parts(text: str, candidate: Candidate) -> tuple[tuple[int, int], ...]:
    units = units_of(text)
    excess = _excess(candidate.usual_languages)[units]
    halves = np.concatenate([excess, np.zeros(-len(excess) % WINDOW, np.int8)])
    for _ in range(2):
        halves = halves[0::2] + halves[1::2]
    windows = halves[:-1] + halves[1:]  # every window of eight that starts at a multiple of four
    if not len(windows) or int(windows.max()) <= _WORST:
        return ()
    if len(units) != len(text):
        return ((0, len(text)),)  # code units are no characters here; the caller looks at all of it
    parts: list[tuple[int, int]] = []
    for place in np.flatnonzero(windows > _WORST).tolist():
        start, end = max(4 * place - _AROUND, 0), min(4 * place + WINDOW + _AROUND, len(text))
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return tuple(parts)


@cache
def _excess(languages: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """For each code unit how much dearer than usual it is, -7 to 7; ASCII counts for nothing."""
    costs = cheapest_costs(languages).astype(np.int16)
    excess = np.clip((costs - _USUAL) // _STEP, -_MOST, _MOST).astype(np.int8)
    excess[0x09:0x7F] = 0
    excess[:0x09] = excess[0x7F:0xA0] = _MOST
    return excess
