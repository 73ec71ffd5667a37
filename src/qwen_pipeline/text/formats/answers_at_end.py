"""Exercises with all answers behind all questions: ``1、…`` ``2、…``, a line ``参考答案``, then ``1、…`` ``2、…`` again.

The lines get marks, numbered through. Both lists must have the same numbers, from 1 on, and from 1 again in each section.
Answers that are letters or signs may share a line (``1.A 2.B``, ``1-5 ABDCA``), also that of the title.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise, takewhile

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import find_mark
from qwen_pipeline.text.formats.number_gaps import number_of, question_of

_TITLE = re.compile(rf"[{EDGES}]*[【\[]?(?:(?:参考|标准|正确)?答案|答案[及与和]?解析)[】\]]?[:：]?[{EDGES}]*")
_CHOSEN = r"(?:[A-H]{1,8}|[√×✓✗✔✘对错]|正确|错误)"
_GAP = rf"[{EDGES},，;；。]*"
_ONE = re.compile(rf"(?P<number>[0-9]{{1,4}}){_GAP}[.．、:：)）]?{_GAP}(?P<answer>{_CHOSEN})(?![a-z]){_GAP}")
_SEVERAL = re.compile(
    rf"(?P<first>[0-9]{{1,4}}){_GAP}[-~—–～至]{_GAP}(?P<last>[0-9]{{1,4}}){_GAP}[.．、:：)）]?{_GAP}(?P<answers>[A-H√×✓✗✔✘对错{EDGES}]+){_GAP}"
)
_SECTION = re.compile(rf"[{EDGES}]*[一二三四五六七八九十]{{1,3}}、(?:[^0-9A-H\n]{{0,20}}[题:：{EDGES}])?")
_SECTION_BESIDE = re.compile(rf"[{EDGES}]*[一二三四五六七八九十]{{1,3}}、(?=[0-9]{{1,4}}[.．、])")
_LEAST_QUESTIONS = 2


def answers_at_end(head: list[MarkedLine]) -> Rewrite | None:
    """What marks questions and answers of such a document; None for any other.

    Args:
        head: The document's beginning.
    """
    head = list(_one_a_line(head))
    asked = list(takewhile(lambda line: not _is_title(line), head))
    questions, answers = _numbers(asked), _numbers(head[len(asked) :])
    fits = questions == answers and _count_up(questions) and len(questions) >= _LEAST_QUESTIONS
    return _with_marks if fits and not any(find_mark(line) for line in head if not _is_title(line)) else None


def _is_title(line: MarkedLine) -> bool:
    return not line.fenced and _TITLE.fullmatch(line.title or line.text) is not None


def _numbers(lines: Iterable[MarkedLine]) -> list[int]:
    return [number[1] for line in lines if (number := number_of(line)) and number[0]]


def _count_up(numbers: list[int]) -> bool:
    return all(now in (before + 1, 1) for before, now in pairwise([0, *numbers]))


def _one_a_line(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    """The lines, from the answers' title on with one answer on each."""
    is_behind = False
    for line in lines:
        title = None if line.fenced or line.level else _TITLE.match(line.text)
        given = _answers_on(line.text[title.end() :] if title else line.text) if title or is_behind else []
        if title and given:
            yield line._replace(text=title[0])
        is_behind = is_behind or bool(title and given) or _is_title(line)
        yield from (line._replace(text=f"{number}. {answer}") for number, answer in given)
        if not given:
            yield line._replace(text=_SECTION_BESIDE.sub("", line.text)) if is_behind else line


def _answers_on(text: str) -> list[tuple[int, str]]:
    """The numbers and answers that a line consists of, behind a section's number; none for any other line."""
    section = _SECTION.match(text)
    at = section.end() if section else 0
    given: list[tuple[int, str]] = []
    while at < len(text):
        several, one = _SEVERAL.match(text, at), _ONE.match(text, at)
        found = several or one
        if found is None:
            return []
        if several:
            letters = re.sub(r"\s", "", several["answers"])
            numbers = range(int(several["first"]), int(several["last"]) + 1)
            if len(letters) != len(numbers):
                return []
            given += zip(numbers, letters, strict=True)
        elif one:
            given.append((int(one["number"]), one["answer"]))
        at = found.end()
    return given


def _with_marks(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    letter, count, are_titles = "Q", 0, False  # of sections, right behind the answers' title
    for line in _one_a_line(lines):
        number = number_of(line)
        if _is_title(line):
            count = count if letter == "A" else 0
            letter, are_titles = "A", True
        elif number and number[0]:
            count, are_titles = count + 1, False
            yield line._replace(text=f"{letter}{count}: {question_of(line)}")
        elif not are_titles and not (letter == "Q" and number):
            yield line
