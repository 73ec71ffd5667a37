"""Rules by which a row is refused although it can be read; each has its threshold."""

import re
import zlib
from dataclasses import dataclass

from qwen_pipeline.text.schema import RejectReason

_SCRIPTS = {
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7a3]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "en": re.compile("[A-Za-z]"),
}
_SAMPLE = 4000
_SHORTEST_TO_JUDGE = 200
_LETTERS_PER_IDEOGRAPH = 4


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Thresholds; lengths in characters, None or an empty tuple switches a rule off."""

    min_question: int = 1
    min_answer: int = 1
    max_question: int | None = None
    max_answer: int | None = None
    max_repetition: float | None = None
    languages: tuple[str, ...] = ()


def main_language(text: str) -> str:
    """The language that the letters of ``text`` belong to, by script; ``other`` without letters.

    Kana make a text Japanese although most of it may be ideographs; Latin letters count as ``en``.
    """
    sample = text[:_SAMPLE]
    if sample.isascii():
        return "en" if _SCRIPTS["en"].search(sample) else "other"
    counts = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPTS.items()}
    if counts["ja"] > 0.1 * (counts["ja"] + counts["zh"]):
        counts["ja"] += counts["zh"]
    counts["en"] //= _LETTERS_PER_IDEOGRAPH
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "other"


def repetition(text: str) -> float:
    """How far ``text`` repeats itself: the share of it that compression takes away, 0 to 1."""
    data = text.encode()
    return 1 - len(zlib.compress(data, 1)) / len(data) if data else 0.0


def find_fault(question: str, answer: str, rules: QualityRules) -> tuple[RejectReason, str] | None:
    """The first rule that the row breaks, with the figure that broke it, or None."""
    lengths = (
        ("question", len(question), rules.min_question, rules.max_question),
        ("answer", len(answer), rules.min_answer, rules.max_answer),
    )
    for name, length, least, _ in lengths:
        if length < least:
            return (
                RejectReason.TOO_SHORT,
                f"the {name} has {length} characters, at least {least} are asked for",
            )
    for name, length, _, most in lengths:
        if most is not None and length > most:
            return RejectReason.TOO_LONG, f"the {name} has {length} characters, at most {most} are allowed"
    if rules.max_repetition is not None and len(answer) >= _SHORTEST_TO_JUDGE:
        share = repetition(answer)
        if share > rules.max_repetition:
            return (
                RejectReason.REPETITIVE,
                f"{share:.3f} of the answer is repetition, at most {rules.max_repetition} is allowed",
            )
    if rules.languages and (language := main_language(answer)) not in (*rules.languages, "other"):
        return RejectReason.WRONG_LANGUAGE, f"the answer is {language}, not {' or '.join(rules.languages)}"
    return None
