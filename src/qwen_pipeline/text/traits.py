"""What kinds of characters texts hold, found for many texts at once.

Most rules of cleaning concern few texts. One pass over the code points of a batch tells which texts a rule can
concern at all, so that the others never meet its regular expressions.
"""

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.text.damage import UTF8_LEADS_AS_GBK, WESTERN_LEADS, WORDS_OF_LOSS
from qwen_pipeline.text.normalise import ODD_CHARACTERS
from qwen_pipeline.text.repair import may_be_mojibake

ODD = 1  # control and invisible characters, odd line ends
COMPOSES = 2  # may stand in a text that is not NFC
DAMAGED = 4  # may be beyond repair
SUSPECT = 16  # may be mojibake
ANY_TRAIT = ODD | COMPOSES | DAMAGED | SUSPECT
_LEAD = 8  # what the first bytes of an ideograph in UTF-8 look like in GBK
_LAST = 0x110000
# All others are single for themselves: ideographs, Hangul syllables, private use.
_COMPOSING = (*range(0x80, 0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x20000), *range(0x2F800, 0x2FA20))
_FEWEST_LEADS, _LEAST_SHARE = 3, 0.05


def traits_of(texts: list[str]) -> NDArray[np.uint8]:
    """The traits of each text: the sum of ``ODD``, ``COMPOSES``, ``DAMAGED`` and ``SUSPECT``, shape [texts]."""
    if not texts:
        return np.zeros(0, dtype=np.uint8)
    codes = np.frombuffer(("a".join(texts) + "a").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(text) + 1 for text in texts])
    ends = np.cumsum(lengths)
    found = _table()[codes]
    traits = np.bitwise_or.reduceat(found, ends - lengths)
    leads = np.add.reduceat((found & _LEAD) != 0, ends - lengths, dtype=np.int64)
    traits[(leads >= _FEWEST_LEADS) & (leads > _LEAST_SHARE * lengths)] |= DAMAGED
    traits &= np.uint8(ANY_TRAIT)
    traits[may_be_mojibake(texts)] |= SUSPECT
    return traits


@cache
def _table() -> NDArray[np.uint8]:
    """The traits of each code point, shape [0x110000]."""
    table = np.zeros(_LAST, dtype=np.uint8)
    for char in ODD_CHARACTERS:
        table[ord(char)] |= ODD
    for char in f"\ufffd{WORDS_OF_LOSS}{WESTERN_LEADS}":
        table[ord(char)] |= DAMAGED
    for char in UTF8_LEADS_AS_GBK:
        table[ord(char)] |= _LEAD
    for code in _COMPOSING:
        char = chr(code)
        if unicodedata.combining(char) or not unicodedata.is_normalized("NFC", char):
            table[code] |= COMPOSES
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            table[int(parts[1], 16)] |= COMPOSES
    table[0x1160:0x1200] |= COMPOSES  # vowels and final consonants of Hangul
    return table
