"""Whether Cyrillic that was taken back from Western letters is what was meant.

``Ïðèâåò, êàê äåëà`` is cp1251 read as Latin-1. Any byte is a letter in both, so a price alone would not do: a list of
accented letters, and Greek or Hebrew read in the same wrong way, are cheap as Russian too. So whole words must be
of one alphabet and in one case, letters must come back as often as in prose, and no other alphabet may fit.
"""

import re

from qwen_pipeline.text.encoding_candidates import BY_NAME, SINGLE_BYTE
from qwen_pipeline.text.encoding_guess import rank

_WORD = re.compile(r"[^\W\d_]+")
_CYRILLIC = re.compile("[\u0400-\u04ff]+")
_LEAST_LETTERS, _LEAST_SHARE = 10, 0.6
_LEAST_WORDS, _LONG_WORD = 2, 3
_MOST_ODD = 0.1  # of the words, how many may mix alphabets or cases
_MOST_DIFFERENT = 0.85  # of the letters: prose repeats its own, an alphabet does not
_LEAST_CONFIDENCE = 0.99


def is_cyrillic_prose(text: str) -> bool:
    """Whether a text read from cp1251 is prose in Russian or a language near it, perhaps with foreign words in it."""
    words = _WORD.findall(text)
    cyrillic = [word for word in words if _CYRILLIC.fullmatch(word)]
    odd = sum(not word.isascii() and not _CYRILLIC.fullmatch(word) for word in words)
    odd += sum(not (word.islower() or word.isupper() or word.istitle()) for word in cyrillic)
    if odd > _MOST_ODD * len(words) or sum(len(word) >= _LONG_WORD for word in cyrillic) < _LEAST_WORDS:
        return False
    letters = "".join(cyrillic)
    if len(letters) < max(_LEAST_LETTERS, _LEAST_SHARE * sum(map(len, words))):
        return False
    if len(set(letters)) > _MOST_DIFFERENT * len(letters):
        return False
    best = rank(text.encode("cp1251"), SINGLE_BYTE)[0]
    return best.candidate is BY_NAME["cp1251"] and best.confidence >= _LEAST_CONFIDENCE
