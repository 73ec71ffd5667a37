"""Texts about encodings: strange characters in them may be what they write about."""

import re

ABOUT_ENCODINGS = re.compile(
    r"encod|decod|charset|utf-?8|unicode|mojibake|garbled|latin-?1|iso-?8859|cp-?125|windows-125|kodier|umlaut|乱码|编码|亂碼|編碼|文字化け",
    re.IGNORECASE,
)
_BESIDE_LETTER = re.compile("[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]")
_ASCII_LETTER = re.compile("[A-Za-z]")
_LEAST_LETTERS = 0.5


def mentions_characters(text: str) -> bool:
    """Whether a text in ASCII about encodings shows other characters by themselves, as in ``you see Ã¤Ã¶ where …``.

    Characters beside a letter are part of a word, and more of them than letters are the text itself.
    """
    if not ABOUT_ENCODINGS.search(text) or _BESIDE_LETTER.search(text):
        return False
    return len(_ASCII_LETTER.findall(text)) >= _LEAST_LETTERS * len("".join(text.split()))
