"""Exercises with all answers behind all questions: ``1、…`` ``2、…``, a line ``参考答案``, then ``1、…`` ``2、…`` again.

The lines get marks with their numbers. Both lists must have the same numbers, each once and from 1 on.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import find_mark
from qwen_pipeline.text.formats.number_gaps import number_of, question_of

_TITLE = re.compile(rf"[{EDGES}]*[【\[]?(?:(?:参考|标准|正确)?答案|答案[及与和]?解析)[】\]]?[:：]?[{EDGES}]*")
_LEAST_QUESTIONS = 2


def answers_at_end(head: list[MarkedLine]) -> Rewrite | None:
    """What marks questions and answers of such a document; None for any other.

    Args:
        head: The document's beginning.
    """
    asked = list(takewhile(lambda line: not _is_title(line), head))
    questions, answers = _numbers(asked), _numbers(head[len(asked) :])
    fits = questions == answers == list(range(1, len(questions) + 1)) and len(questions) >= _LEAST_QUESTIONS
    return _with_marks if fits and not any(find_mark(line) for line in head if not _is_title(line)) else None


def _is_title(line: MarkedLine) -> bool:
    return not line.fenced and _TITLE.fullmatch(line.title or line.text) is not None


def _numbers(lines: Iterable[MarkedLine]) -> list[int]:
    return [number[1] for line in lines if (number := number_of(line)) and number[0]]


def _with_marks(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    letter, are_titles = "Q", False  # of sections, right behind the answers' title
    for line in lines:
        number = number_of(line)
        if _is_title(line):
            letter, are_titles = "A", True
        elif number and number[0]:
            are_titles = False
            yield line._replace(text=f"{letter}{number[1]}: {question_of(line)}")
        elif not are_titles and not (letter == "Q" and number):
            yield line
