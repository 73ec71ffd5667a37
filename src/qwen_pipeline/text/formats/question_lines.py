"""Documents whose questions are bold lines or numbered lines that end with a question mark."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.answer_text import ANSWER_MARK, tidy_answer, tidy_question
from qwen_pipeline.text.formats.marked_lines import EDGES, INVISIBLE, MarkedLine
from qwen_pipeline.text.formats.row import Found, Row, refuse
from qwen_pipeline.text.schema import RejectReason

_DEEP_NUMBER = r"[0-9]{1,3}(?:[.．][0-9]{1,3}){1,2}(?:\s*[.．、:：)）]|\s)"
_NUMBER = rf"(?:{_DEEP_NUMBER}|[0-9０-９]{{1,4}}\s*[.．、:：)）]|[①-⑳]|[（(][0-9]{{1,4}}[)）]|[一二三四五六七八九十]{{1,3}}、)"
_QUESTION_LINE = re.compile(
    rf"[{EDGES}]*(?:{_NUMBER}\s*)?(?:\*\*|__)\s*(?:{_NUMBER}\s*)?(?P<bold>[^*\n]{{1,300}}[?？])\s*(?:\*\*|__)\s*$"
    rf"|[{EDGES}]*{_NUMBER}\s*(?P<plain>[^\n]{{1,300}}[?？])\s*$"
)


def _question_of(line: MarkedLine) -> str | None:
    """The question that the line is, or None."""
    if line.fenced or line.level or len(line.text) > 400 or not ("?" in line.text or "？" in line.text):
        return None
    found = _QUESTION_LINE.match(line.text.lstrip(INVISIBLE))
    return (found["bold"] or found["plain"]).strip(EDGES) if found else None


def count_question_lines(lines: Iterable[MarkedLine]) -> int:
    """How many lines are questions."""
    return sum(_question_of(line) is not None for line in lines)


def read_question_lines(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every question line; its answer ends at the next one or at a heading."""
    question, at = "", None
    answer: list[MarkedLine] = []
    for line in lines:
        asked = _question_of(line)
        if asked is not None or line.level:
            if at is not None:
                yield _row(question, at, answer)
            question, at, answer = asked or "", line if asked is not None else None, []
        elif at is not None:
            answer.append(line)
    if at is not None:
        yield _row(question, at, answer)


def _row(question: str, at: MarkedLine, lines: list[MarkedLine]) -> Row:
    answer = ANSWER_MARK.sub("", tidy_answer("", lines), count=1)
    if not answer:
        return refuse(at.number, RejectReason.MISSING_ANSWER, "a question without an answer", question)
    return Found((("user", tidy_question(question)), ("assistant", answer)), at.number, at.offset)
