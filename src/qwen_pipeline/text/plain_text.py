"""What counts of a text when texts are compared: letters, digits and ideographs, in one case and width."""

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

LONGEST = 20_000  # characters of a text that count
_NOT_WORD = re.compile(r"[\W_]+")
_DROPPED, _SPECIAL = 0, 0xFFFFFFFF
_LAST = 0x110000
_FOLDED = (*range(0x3400), *range(0xA000, 0xAC00), *range(0xD7A4, 0x20000), *range(0x2F800, 0x2FA20))
_THEMSELVES = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xAC00, 0xD7A4), range(0x20000, 0x34000))
# may become one with what follows
_JOINING = (range(0x1100, 0x1200), range(0x3130, 0x3190), range(0xFF9E, 0xFFDD))


def plain(text: str) -> str:
    """The text without case, width, white space and punctuation; all of it where nothing else is in it."""
    text = text[:LONGEST]
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub("", folded) or folded


def plain_codes(texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """What ``plain`` gives for each text, without a loop over the texts in Python for nearly all of them.

    Returns:
        Code points, one text after another, and the lengths of the texts, shape [texts].
    """
    texts = [text[:LONGEST] for text in texts]
    folded, lengths = _fold(texts)
    starts = np.cumsum(lengths) - lengths
    filled = np.flatnonzero(lengths)
    special = np.zeros(len(texts), dtype=bool)
    special[filled] = np.bitwise_or.reduceat(folded == _SPECIAL, starts[filled])
    stays = folded != _DROPPED
    kept = np.zeros(len(texts), dtype=np.int64)
    kept[filled] = np.add.reduceat(stays, starts[filled], dtype=np.int64)
    special |= (kept == 0) & (lengths > 0)
    if not special.any():
        return folded[stays], kept
    at = np.flatnonzero(special)
    pieces = [plain(texts[row]) for row in at]
    codes = np.split(folded[stays], np.cumsum(kept)[:-1])
    for row, piece in zip(at, pieces, strict=True):
        codes[row] = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        kept[row] = len(piece)
    return np.concatenate(codes), kept


def _fold(texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return _table()[codes], np.array([len(text) for text in texts], dtype=np.int64)


@cache
def _table() -> NDArray[np.uint32]:
    """Each code point folded by itself: 0 where it does not count, ``_SPECIAL`` where that takes its neighbours."""
    table = np.zeros(_LAST, dtype=np.uint32)
    for codes in _THEMSELVES:
        table[codes.start : codes.stop] = codes
    for code in _FOLDED:
        char = chr(code)
        folded = _NOT_WORD.sub("", unicodedata.normalize("NFKC", char).casefold())
        alone = len(folded) < 2 and not unicodedata.combining(char) and folded != "\0"
        table[code] = (ord(folded) if folded else _DROPPED) if alone else _SPECIAL
    for codes in _JOINING:
        table[codes.start : codes.stop] = _SPECIAL
    return table
