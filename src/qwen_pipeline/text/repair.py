"""Mojibake undone where it is reversible: a wrong reading taken back, and recorded.

A text, or a line of it, is repaired as a whole or not at all: where right characters stand beside strange ones,
somebody may be writing about mojibake. What is taken back must be valid in the encoding it was written in, and
much cheaper as language than what was there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.about_encodings import ABOUT_ENCODINGS, mentions_characters
from qwen_pipeline.text.cyrillic import is_cyrillic_prose
from qwen_pipeline.text.encoding_clean import reading_of, unusual_texts
from qwen_pipeline.text.language_costs import CHINESE_JAPANESE_KOREAN, bits_of, units_of
from qwen_pipeline.text.wrong_readings import LANGUAGES, WESTERN_READINGS, WRONG_READINGS, WrongReading

MOST_ROUNDS = 3
_LEAST_BITS = 14.0  # that a repair must save
_BITS_FOR_ANOTHER = 6.0  # a reading of several steps must be that much better for each step after the first
_SHORT = 64
_FEWEST, _CREDIBLE = 2, -0.5  # characters above ASCII, and their mean excess
_USUAL = -1.5  # mean excess above which a text is looked at; right text has about -3
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
_LEADS = "".join(
    bytes((lead, trail)).decode("gb18030", "ignore")
    for lead in range(0xE2, 0xF0)
    for trail in range(0x80, 0xC0)
)
_AS_GBK = re.compile(f"[{_LEADS}]")
_AS_WESTERN = re.compile("[\xc2-\xf4][\x80-\xbf\u0152-\u0192\u02c6\u02dc\u2013-\u2122 ]|[\x81-\xff]{4}")

# UTF-8 read as Western letters inside a word, as in ``zurÃ¼ck`` and ``lâ€™article``: no right word looks like that.
_TRAIL = "[\x80-\xbf\u0152-\u0192\u02c6\u02dc\u2013-\u2122]"
_SEQUENCE = rf"(?:[\xc2-\xdf]{_TRAIL}|\xe2{_TRAIL}{{2}})"
_IN_WORD = re.compile(
    rf"(?<=[A-Za-z]){_SEQUENCE}|{_SEQUENCE}(?=[A-Za-z])|(?:{_SEQUENCE}[^\xc2-\xf4]{{0,200}}){{3}}"
)

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")  # two code units each
_WESTERN, _GBK = 1, 2

_Try = tuple[str, tuple[WrongReading, ...]]


@dataclass(frozen=True)
class Repaired:
    """A text after repair; ``steps`` names what was taken back, empty where it was right."""

    text: str
    steps: tuple[str, ...]


def repair_mojibake(text: str) -> Repaired:
    """Take back wrong readings, as often as the text was read wrongly.

    Args:
        text: A message's content.

    Returns:
        The repaired text, or the same where no reading makes it clearly better.
    """
    if text.isascii() or not _is_suspect(text) or mentions_characters(text):
        return Repaired(text, ())
    whole, steps = _repair(text)
    if steps or "\n" not in text:
        return Repaired(whole, steps)
    parts: list[str] = []
    all_steps: dict[str, None] = {}
    for line in text.split("\n"):
        repaired, steps = _repair(line) if not line.isascii() and _is_suspect(line) else (line, ())
        parts.append(repaired)
        all_steps.update(dict.fromkeys(steps))
    return Repaired("\n".join(parts), tuple(all_steps))


def _is_suspect(text: str) -> bool:
    """Whether it is worth while to try: nearly all right text is passed here."""
    if _AS_WESTERN.search(text):
        return True
    reading = reading_of(text, "", CHINESE_JAPANESE_KOREAN)
    if reading.strange or reading.excess > _USUAL:
        return True
    return len(text) <= _SHORT and bool(_AS_GBK.search(text))


def may_be_mojibake(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts ``repair_mojibake`` may change, found for many at once; it leaves the others alone, shape [texts]."""
    if not texts:
        return np.zeros(0, dtype=np.bool_)
    has_astral = _ASTRAL.search("".join(texts)) is not None
    astral = [has_astral and _ASTRAL.search(text) is not None for text in texts]
    lengths = np.array([0 if skipped else len(text) for text, skipped in zip(texts, astral, strict=True)])
    padded = lengths + 8 + -lengths % 4
    pieces = ["" if skipped else text for text, skipped in zip(texts, astral, strict=True)]
    units = units_of("".join(map(str.ljust, pieces, padded.tolist())))
    starts = np.cumsum(padded) - padded
    marks = np.bitwise_or.reduceat(_marks()[units], starts)
    found = unusual_texts(units, starts, CHINESE_JAPANESE_KOREAN, _USUAL)
    found |= ((marks & _WESTERN) > 0) | (((marks & _GBK) > 0) & (lengths <= _SHORT))
    ascii_only = np.array([text.isascii() for text in texts])
    return np.asarray((found | np.array(astral)) & ~ascii_only)


@cache
def _marks() -> NDArray[np.uint8]:
    """Which code units the patterns of mojibake begin with, shape [65536]."""
    marks = np.zeros(0x10000, dtype=np.uint8)
    marks[0x81:0x100] |= _WESTERN
    marks[units_of(_LEADS)] |= _GBK
    return marks


def _repair(text: str) -> tuple[str, tuple[str, ...]]:
    steps: tuple[str, ...] = ()
    for _ in range(MOST_ROUNDS):
        found = _take_back(text)
        if found is None:
            break
        text, taken = found
        steps += taken
    return text, steps


def _take_back(text: str) -> tuple[str, tuple[str, ...]] | None:
    """The best text that a few wrong readings would have made this of."""
    price = _price(text)
    best, best_price, best_steps = text, price, tuple[str, ...]()
    different = len({char for char in text if not char.isascii()})
    possible = [reading for reading in WRONG_READINGS if different >= reading.least_different]
    once: list[_Try] = [(found, (reading,)) for reading in possible for found in reading.take_back(text)]
    twice = list(_taken_further(text, once, WRONG_READINGS))
    western = [(found, taken) for found, taken in twice if set(taken) <= set(WESTERN_READINGS)]
    in_word = _IN_WORD.search(text) is not None and not ABOUT_ENCODINGS.search(text)
    for found, readings in (*once, *twice, *_taken_further(text, western, WESTERN_READINGS)):
        if not _is_credible(found, readings[-1]):
            continue
        cost = _price(found) + _BITS_FOR_ANOTHER * (len(readings) - 1)
        least_share = 0.0 if in_word and set(readings) <= set(WESTERN_READINGS) else readings[-1].least_share
        if cost < best_price and price - cost >= max(_LEAST_BITS, least_share * price):
            best, best_price, best_steps = found, cost, tuple(reading.name for reading in readings)
    return (best, best_steps) if best_steps else None


def _taken_further(text: str, tries: Iterable[_Try], readings: Iterable[WrongReading]) -> Iterator[_Try]:
    """What further wrong readings would have made of texts that UTF-8 gave."""
    for found, taken in tries:
        for reading in readings if taken[-1].right == "utf-8" else ():
            yield from ((again, (*taken, reading)) for again in reading.take_back(found) if again != text)


def _is_credible(found: str, reading: WrongReading) -> bool:
    """Whether what was taken back is text; any bytes are valid in most encodings, so that usual characters must say it."""
    if _NOT_TEXT.search(found):
        return False
    if reading.right == "utf-8":
        return True
    if reading.right == "cp1251":
        return is_cyrillic_prose(found)
    usual = reading_of(found, "", CHINESE_JAPANESE_KOREAN)
    return usual.high >= _FEWEST and usual.excess <= _CREDIBLE


def _price(text: str) -> float:
    return min(bits_of(text, LANGUAGES).values())
