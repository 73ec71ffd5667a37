"""Whether a whole piece reads well in one encoding, or has a stretch that looks like another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from qwen_pipeline.text.encoding_candidates import UTF8, Candidate
from qwen_pipeline.text.encoding_guess import is_cut_character
from qwen_pipeline.text.language_costs import cheapest_costs, units_of

WINDOW = 8  # characters
_AROUND = 8  # characters on both sides of a strange window that are looked at with it
_USUAL = 50  # quarter bits: above what nearly every character of right text costs
_STEP = 4
_MOST = 7  # so that a window's sum stays within eight bits
# A window's sum above which it is looked at. In right Chinese text one window in 10,000 is above 2 and none was
# above 8; in text read wrongly half of all windows are above 18. Source: measured on the decoding benchmark's texts.
_WORST = 12
# Right Chinese text has -3.2 on average; no 16 characters read wrongly came below -1.
_ENOUGH, _CERTAIN = 16, -2.2
_SOME, _LIKELY = 4, -0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What a candidate makes of some bytes.

    Attributes:
        text: The text, without a last character that the file's end cut off.
        name: The form of the encoding that all bytes fit.
        strange: Parts of the text, as character offsets, whose characters are rare in the encoding's languages.
        high: How many code units are above ASCII.
        excess: By how much those are dearer than usual, on average; below 0 in right text.
    """

    text: str
    name: str
    strange: tuple[tuple[int, int], ...] = ()
    high: int = 0
    excess: float = 0.0

    def is_certain(self) -> bool:
        """Whether no other encoding can be meant."""
        return self.high >= _ENOUGH and self.excess <= _CERTAIN and not self.strange

    def is_usual(self) -> bool:
        """Whether its few characters are all such as are written every day."""
        return self.high >= _SOME and self.excess <= _CERTAIN and not self.strange

    def is_likely(self) -> bool:
        """Whether the text is usual enough not to look for languages with an alphabet."""
        return self.high >= _SOME and self.excess <= _LIKELY


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
        if candidate is UTF8:
            return Reading(text, name)
        return reading_of(text, name, candidate.usual_languages)
    return None


def is_clean(data: bytes, candidate: Candidate) -> bool:
    """Whether all bytes but those of a last character that is cut off are characters of the encoding, and usual ones."""
    reading = read(data, candidate, at_end=True)
    return reading is not None and not reading.strange


def reading_of(text: str, name: str, languages: tuple[str, ...]) -> Reading:
    """How usual a text's characters are in some languages; ``name`` is the encoding that it was read from."""
    units = units_of(text)
    excess = _excess(languages)[units]
    high = int(np.count_nonzero(units >= 0x80))
    mean = int(excess.sum(dtype=np.int64)) / high if high else 0.0
    halves = np.concatenate([excess, np.zeros(-len(excess) % WINDOW, np.int8)])
    for _ in range(2):
        halves = halves[0::2] + halves[1::2]
    windows = halves[:-1] + halves[1:]  # every window of eight that starts at a multiple of four
    if not len(windows) or int(windows.max()) <= _WORST:
        return Reading(text, name, (), high, mean)
    if len(units) != len(text):  # code units are no characters here; the caller looks at all of it
        return Reading(text, name, ((0, len(text)),), high, mean)
    return Reading(
        text, name, tuple(_joined_windows(np.flatnonzero(windows > _WORST).tolist(), len(text))), high, mean
    )


def unusual_texts(
    units: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64], languages: tuple[str, ...], usual: float
) -> npt.NDArray[np.bool_]:
    """Which of many texts ``reading_of`` may find strange or dearer than usual; the others it does not, shape [texts].

    Args:
        units: Code units of all texts, each at a multiple of four with eight ASCII ones or more behind it.
        starts: Where each begins.
        languages: As for ``reading_of``.
        usual: Mean excess above which a text is unusual.
    """
    excess = _excess(languages)[units]
    high = np.add.reduceat(units >= 0x80, starts, dtype=np.int64)
    means = np.add.reduceat(excess, starts, dtype=np.int64) >= usual * high
    halves = excess[0::2] + excess[1::2]
    halves = halves[0::2] + halves[1::2]
    windows = halves + np.append(halves[1:], np.int8(0))
    return np.asarray(means | (np.maximum.reduceat(windows, starts // 4) > _WORST))


def _joined_windows(places: Sequence[int], size: int) -> list[tuple[int, int]]:
    """Windows with what is around them, as character offsets, joined where they overlap."""
    parts: list[tuple[int, int]] = []
    for place in places:
        start, end = max(4 * place - _AROUND, 0), min(4 * place + WINDOW + _AROUND, size)
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return parts


@cache
def _excess(languages: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """For each code unit how much dearer than usual it is, -7 to 7; ASCII counts for nothing."""
    costs = cheapest_costs(languages).astype(np.int16)
    excess = np.clip((costs - _USUAL) // _STEP, -_MOST, _MOST).astype(np.int8)
    excess[0x09:0x7F] = 0
    excess[:0x09] = excess[0x7F:0xA0] = _MOST
    return excess
