"""Mojibake undone where it is reversible: a wrong decoding taken back, and recorded."""

import re
from dataclasses import dataclass

# (name, the encoding the text was wrongly read with, the one it was written in)
WRONG_READINGS = (
    ("utf-8 read as latin-1", "latin-1", "utf-8"),
    ("utf-8 read as cp1252", "cp1252", "utf-8"),
    ("utf-8 read as gb18030", "gb18030", "utf-8"),
    ("gb18030 read as latin-1", "latin-1", "gb18030"),
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN_HIGH = re.compile(r"[\x80-\xff\u0152-\u0192\u02c6\u02dc\u2013-\u2122]")
COMMON_HAN = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件"
    "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象"
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运问答案训练"
    "模型显存参数码"
)
MOST_ROUNDS = 2


@dataclass(frozen=True)
class Repaired:
    """A text after repair; ``steps`` names what was taken back, empty where it was right."""

    text: str
    steps: tuple[str, ...]


def repair_mojibake(text: str) -> Repaired:
    """Take back wrong decodings, as often as the text was decoded wrongly.

    Args:
        text: A message's content.

    Returns:
        The repaired text, or the same where no reading makes it clearly better.
    """
    steps: list[str] = []
    for _ in range(MOST_ROUNDS):
        found = _take_back(text)
        if found is None:
            break
        text = found[0]
        steps.append(found[1])
    return Repaired(text, tuple(steps))


def _take_back(text: str) -> tuple[str, str] | None:
    if text.isascii():
        return None
    for name, wrong, right in WRONG_READINGS:
        try:
            candidate = text.encode(wrong).decode(right)
        except UnicodeError:
            continue
        if candidate != text and _is_clearly_better(candidate, text, wrong):
            return candidate, name
    return None


def _is_clearly_better(candidate: str, text: str, wrong: str) -> bool:
    """Right Latin text holds no run of high characters that is valid UTF-8; Han text is common."""
    if wrong == "gb18030":
        return _share_of_common(candidate) > max(0.5, 2 * _share_of_common(text))
    if _HAN.search(candidate):
        return not _HAN.search(text) and _share_of_common(candidate) > 0.3
    return len(_LATIN_HIGH.findall(candidate)) < len(_LATIN_HIGH.findall(text))


def _share_of_common(text: str) -> float:
    han = _HAN.findall(text)
    return sum(character in COMMON_HAN for character in han) / len(han) if han else 0.0
