"""How unlikely a text is in each language, in bits: what decides between two readings of the same bytes.

The model is a frequency for each character and language, plus a price where scripts meet inside a word. It is
enough because a wrong reading gives rare characters. Characters of ASCII cost the same in every language, so
that much code around one word does not decide which language the word is in.
"""

import json
import unicodedata
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

BITS = 4  # costs are stored as quarter bits
CHINESE_JAPANESE_KOREAN = ("zh-Hans", "zh-Hant", "ja", "ko")
ALPHABET_OF_ITS_OWN = ("ar", "bg", "el", "fa", "he", "mk", "ru", "th", "uk")
_NEVER = 160  # U+FFFD: the bytes fit no character
_UNASSIGNED, _PRIVATE, _CONTROL = 120, 104, 112
_RARE_IDEOGRAPH, _RARE_LETTER, _SYMBOL, _WIDE_FORM, _HALF_KANA = 92, 88, 60, 64, 60
_FOREIGN = 36  # a character that is frequent only in another language
_EMOJI, _OTHER_ASTRAL, _LOW_SURROGATE = 44, 92, 4
_ACCENT = 16  # a letter above ASCII in a language written mostly in ASCII
_WORD = 2  # the same in a language with an alphabet of its own
_MARK = 4  # the same for a mark, in every language with an alphabet
# Quotation marks, dashes and signs; ¡ and ¿ are of one language.
_MARKS = frozenset({0xA0, *range(0xA2, 0xBF), *range(0x2010, 0x2100)})
# Kinds of characters that stand beside each other: others, ASCII letters, ideographs and kana, letters with marks,
# letters of another alphabet.
_OTHER, _ASCII_LETTER, _IDEOGRAPH, _MARKED_LETTER, _FOREIGN_LETTER = range(5)
_KINDS = 8
_MEETINGS = {
    (_ASCII_LETTER, _IDEOGRAPH): 6,
    (_MARKED_LETTER, _IDEOGRAPH): 28,
    (_FOREIGN_LETTER, _IDEOGRAPH): 28,
    (_ASCII_LETTER, _FOREIGN_LETTER): 36,
    (_MARKED_LETTER, _FOREIGN_LETTER): 48,
    (_MARKED_LETTER, _MARKED_LETTER): 6,
}
_LONE_IDEOGRAPH = 20  # with ASCII letters on both sides
_LONE_MARK = 8  # most letters with marks stand inside a word
# Where letters, marks and unassigned places are mixed; between them are ideographs, Hangul and private use.
_MIXED_BLOCKS = (
    *range(0x80, 0x3400),
    *range(0xA000, 0xAC00),
    *range(0xD7A4, 0xD800),
    *range(0xFB00, 0x10000),
)
_BEGINNING = np.array([_OTHER], np.uint8)

Costs = npt.NDArray[np.uint8]


def units_of(text: str) -> npt.NDArray[np.uint16]:
    """The text's UTF-16 code units, shape [units]; a character above U+FFFF has two."""
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)


def bits_of(text: str, languages: tuple[str, ...]) -> dict[str, float]:
    """What the text costs in each language, in bits.

    Args:
        text: Any text; U+FFFD counts as damage.
        languages: Names out of ``language_names()``.
    """
    units = units_of(text)
    meeting = _meeting_cost(_kinds()[units])
    totals = _costs_in_all(languages)[:, units].sum(axis=1, dtype=np.int64) + meeting
    return dict(zip(languages, (totals / BITS).tolist(), strict=True))


def _meeting_cost(kinds: npt.NDArray[np.uint8]) -> int:
    """What the places cost where kinds of characters meet that seldom do, in quarter bits."""
    if not kinds.any() or int(kinds.max()) < _IDEOGRAPH:
        return 0
    before = np.concatenate([_BEGINNING, kinds[:-1]])
    cost = int(_meeting_costs()[before * _KINDS + kinds].sum())
    lone = (before[1:-1] == _ASCII_LETTER) & (kinds[1:-1] == _IDEOGRAPH) & (kinds[2:] == _ASCII_LETTER)
    return cost + _LONE_IDEOGRAPH * int(np.count_nonzero(lone))


@cache
def _meeting_costs() -> npt.NDArray[np.int64]:
    """By the first character's kind times ``_KINDS`` plus the second's."""
    costs = np.zeros(_KINDS * _KINDS, np.int64)
    for (first, second), cost in _MEETINGS.items():
        costs[[first * _KINDS + second, second * _KINDS + first]] = cost
    costs[_OTHER * _KINDS + _MARKED_LETTER] = _LONE_MARK
    return costs


@cache
def language_names() -> tuple[str, ...]:
    """All languages that the figures cover."""
    return tuple(figures())


@cache
def costs_in(language: str) -> Costs:
    """The cost of each UTF-16 code unit in a language, shape [65536], in quarter bits."""
    costs = _costs_of_strangers().copy()
    extra = _extra(language)
    for cost, chars in figures()[language].items():
        costs[units_of(chars)] = min(int(cost) + extra, _RARE_IDEOGRAPH)
        if language not in CHINESE_JAPANESE_KOREAN:
            # The same with every alphabet: quotation marks alone say nothing about it.
            marks = units_of("".join(char for char in chars if ord(char) in _MARKS and not char.isalpha()))
            costs[marks] = min(int(cost) + _MARK, _RARE_IDEOGRAPH)
    costs[:0x80] = _ascii_costs()
    return costs


@cache
def _costs_of_strangers() -> Costs:
    """The cost of each code unit in a language that seldom has it."""
    costs = np.minimum(_plain_costs(), _cheapest_anywhere().astype(np.int16) + _FOREIGN)
    return np.clip(costs, 0, 255).astype(np.uint8)


@cache
def _costs_in_all(languages: tuple[str, ...]) -> Costs:
    """The cost of each code unit in each of the languages, shape [languages, 65536]."""
    return np.stack([costs_in(name) for name in languages])


@cache
def cheapest_costs(languages: tuple[str, ...]) -> Costs:
    """The cost of each code unit in whichever of the languages it is cheapest, shape [65536]."""
    costs = costs_in(languages[0])
    for name in languages[1:]:
        costs = np.minimum(costs, costs_in(name))
    return costs


def _extra(language: str) -> int:
    if language in CHINESE_JAPANESE_KOREAN:
        return 0
    return _WORD if language in ALPHABET_OF_ITS_OWN else _ACCENT


@cache
def figures() -> dict[str, dict[str, str]]:
    """Characters by cost in quarter bits, for each language. Source: tools/build_character_costs.py."""
    source = files("qwen_pipeline.text").joinpath("character_costs.json")
    found: dict[str, dict[str, str]] = json.loads(source.read_text(encoding="utf-8"))
    return found


@cache
def _cheapest_anywhere() -> Costs:
    costs = np.full(65536, 255 - _FOREIGN, np.uint8)
    for name, groups in figures().items():
        for cost, chars in groups.items():
            units = units_of(chars)
            costs[units] = np.minimum(costs[units], min(int(cost) + _extra(name), 200))
    return costs


@cache
def _plain_costs() -> npt.NDArray[np.int16]:
    """Costs of characters that no language's figures name, by what kind of character they are."""
    costs = np.full(65536, _RARE_LETTER, np.int16)
    for code in _MIXED_BLOCKS:
        category = unicodedata.category(chr(code))
        if category == "Cn":
            costs[code] = _UNASSIGNED
        elif category in ("Cc", "Cf"):
            costs[code] = _CONTROL
        elif category[0] in "SPZN":
            costs[code] = _SYMBOL
    costs[0x3400:0xA000] = _RARE_IDEOGRAPH
    costs[0xE000:0xF900] = _PRIVATE
    costs[0xF900:0xFB00] = _PRIVATE
    costs[0xFE30:0xFE70] = costs[0xFF01:0xFF5F] = costs[0xFFE0:0xFFE7] = _WIDE_FORM
    costs[0xFF61:0xFFA0] = _HALF_KANA
    costs[[0xFE0F, 0x200B, 0x200D, 0xFEFF]] = _SYMBOL
    costs[0xFFFD] = _NEVER
    costs[0xD800:0xDC00], costs[0xDC00:0xE000] = _OTHER_ASTRAL, _LOW_SURROGATE
    costs[0xD83C:0xD83F] = _EMOJI
    return costs


@cache
def _ascii_costs() -> npt.NDArray[np.int16]:
    costs = np.full(0x80, 28, np.int16)
    costs[:0x20], costs[0x7F] = 100, 112
    costs[[0x09, 0x0A, 0x0D]] = 24
    costs[0x00] = 140
    costs[0x20] = 12
    costs[0x30:0x3A] = 24
    costs[0x41:0x5B] = 28
    costs[0x61:0x7B] = 18
    return costs


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.full(65536, _OTHER, np.uint8)
    kinds[0x41:0x5B] = kinds[0x61:0x7B] = _ASCII_LETTER
    kinds[0x3040:0xA000] = kinds[0xAC00:0xD7A4] = kinds[0xF900:0xFB00] = _IDEOGRAPH
    kinds[0xC0:0x300] = kinds[0x1E00:0x1F00] = _MARKED_LETTER
    kinds[0x370:0x1E00] = kinds[0xFF61:0xFFA0] = _FOREIGN_LETTER
    kinds[[0xD7, 0xF7]] = _OTHER
    return kinds
