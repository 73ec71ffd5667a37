"""The ways in which bytes are read wrongly, and how each is taken back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_pipeline.text.language_costs import CHINESE_JAPANESE_KOREAN

_UNMARKED = re.compile(rb"([\xe2-\xef][\x80-\xbf]|[\xc2\xc3]) ")
_TRIMMED = (b"\xa0", b"\x85", b"\xa0\xa0", b"\xa0\x85", b"\x85\xa0", b"\x85\x85")
_OPEN = ("cp1252", "cp1251")  # they give some bytes no character


@dataclass(frozen=True, slots=True)
class WrongReading:
    """Text written in one encoding and read in another.

    Attributes:
        wrong: What it was read in.
        right: What it was written in.
        least_share: Of the text's price in bits, how much taking it back must save.
        least_different: How many different characters above ASCII the text must have, so that it is no chance.
    """

    wrong: str
    right: str
    least_share: float = 0.2
    least_different: int = 4

    @property
    def name(self) -> str:
        """How a report calls it."""
        return f"{self.right} read as {self.wrong}"

    def take_back(self, text: str) -> Iterator[str]:
        """What the text was before, where that is possible: the exact bytes first, then likely ones."""
        for data in _bytes_again(text, self.wrong, self.right):
            try:
                found = data.decode(self.right)
            except UnicodeDecodeError:
                continue
            if found != text:
                yield found


WRONG_READINGS = (
    WrongReading("latin-1", "utf-8", least_different=2),
    WrongReading("cp1252", "utf-8", least_different=2),
    WrongReading("gb18030", "utf-8", least_different=3),
    WrongReading("cp1251", "utf-8"),
    WrongReading("latin-1", "gb18030"),
    WrongReading("cp1252", "gb18030"),
    WrongReading("latin-1", "big5"),
    WrongReading("cp1252", "big5"),
    WrongReading("latin-1", "shift_jis"),
    WrongReading("cp1252", "shift_jis"),
    WrongReading("latin-1", "euc_kr"),
    WrongReading("cp1252", "euc_kr"),
    WrongReading("latin-1", "cp1251"),
    WrongReading("cp1252", "cp1251"),
    WrongReading("big5", "utf-8", least_different=4),
    WrongReading("shift_jis", "utf-8", least_different=4),
    WrongReading("euc_kr", "utf-8", least_different=4),
    WrongReading("gb18030", "big5", 0.3, 6),
    WrongReading("big5", "gb18030", 0.3, 6),
    WrongReading("gb18030", "shift_jis", 0.3, 6),
    WrongReading("gb18030", "euc_kr", 0.3, 6),
)
WESTERN_READINGS = WRONG_READINGS[:2]  # those that programs do more than twice
LANGUAGES = (*CHINESE_JAPANESE_KOREAN, "fr", "de", "es", "pl", "cs", "tr", "ru", "el", "vi")


def _bytes_again(text: str, wrong: str, right: str) -> Iterator[bytes]:
    data = _encode(text, wrong)
    if data is None:
        return
    yield data
    if right != "utf-8":
        return
    if wrong in ("latin-1", *_OPEN):
        # Trimming and normalising take U+00A0 and U+0085 for spaces.
        spaced = _UNMARKED.sub(lambda found: found[1] + b"\xa0", data)
        yield spaced
        yield from (spaced + lost for lost in _TRIMMED)
    if wrong == "gb18030" and "\u20ac" in text:
        yield data.replace(b"\xa2\xe3", b"\x80")  # Windows reads the byte 80 as the euro sign


def _encode(text: str, wrong: str) -> bytes | None:
    try:
        return text.encode(wrong)
    except UnicodeEncodeError:
        if wrong not in _OPEN:
            return None
    parts: list[bytes] = []
    for char in text:  # bytes that the encoding leaves open are read as the control characters of that number
        try:
            parts.append(char.encode(wrong))
        except UnicodeEncodeError:
            if ord(char) >= 0xA0:
                return None
            parts.append(bytes((ord(char),)))
    return b"".join(parts)
