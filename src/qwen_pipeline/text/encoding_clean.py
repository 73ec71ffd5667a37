"""Whether a whole piece reads well in one encoding, or has a stretch that looks like another one."""

from functools import cache

import numpy as np
import numpy.typing as npt

from qwen_pipeline.text.encoding_candidates import UTF8, Candidate
from qwen_pipeline.text.encoding_guess import is_cut_character
from qwen_pipeline.text.language_costs import cheapest_costs, units_of

WINDOW = 8  # characters
_USUAL = 50  # quarter bits: above what nearly every character of right text costs
_STEP = 4
_MOST = 7  # so that a window's sum stays within eight bits
# A window's sum above which it is looked at. In right Chinese text one window in 10,000 is above 2 and hardly one
# above 8; in text read wrongly half of all windows are above 18. Source: measured on the decoding benchmark's texts.
_WORST = 9


def is_clean(data: bytes, candidate: Candidate, at_end: bool = False) -> bool:
    """Whether all bytes are characters of the encoding, and usual ones.

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
        return candidate is UTF8 or reads_clean(text, candidate)
    return False


def reads_clean(text: str, candidate: Candidate) -> bool:
    """Whether no window of the text is made of characters that are rare in the candidate's languages.

    Args:
        text: What the candidate makes of some bytes.
        candidate: The encoding.
    """
    units = units_of(text)
    excess = _excess(candidate.usual_languages)[units]
    halves = np.concatenate([excess, np.zeros(-len(excess) % WINDOW, np.int8)])
    for _ in range(2):
        halves = halves[0::2] + halves[1::2]
    windows = halves[:-1] + halves[1:]  # every window of eight that starts at a multiple of four
    return not len(windows) or int(windows.max()) <= _WORST


@cache
def _excess(languages: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """For each code unit how much dearer than usual it is, -7 to 7; ASCII counts for nothing."""
    costs = cheapest_costs(languages).astype(np.int16)
    excess = np.clip((costs - _USUAL) // _STEP, -_MOST, _MOST).astype(np.int8)
    excess[0x09:0x7F] = 0
    excess[:0x09] = excess[0x7F:0xA0] = _MOST
    return excess
