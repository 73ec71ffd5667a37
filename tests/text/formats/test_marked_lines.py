"""A code fence that nobody closes takes the rest of the document with it, and that is noted."""

from collections.abc import Callable, Iterator

import pytest

from qwen_pipeline.text.formats.content import Line
from qwen_pipeline.text.formats.headings import read_headings
from qwen_pipeline.text.formats.marked_lines import MarkedLine, mark_lines
from qwen_pipeline.text.formats.marked_pairs import read_marked
from qwen_pipeline.text.formats.paragraph_pairs import read_paragraph_pairs
from qwen_pipeline.text.formats.question_lines import question_style, read_question_lines
from qwen_pipeline.text.formats.row import Found, Row

Reader = Callable[[list[MarkedLine]], Iterator[Row]]
READERS: dict[str, Reader] = {
    "Q: What?\nA:": lambda lines: read_marked(lines, lines, has_answer_marks=True),
    "## What?": lambda lines: read_headings(lines, 2),
    "What?": read_paragraph_pairs,
    "**1. What?**": lambda lines: read_question_lines(lines, question_style([*lines, *lines])),
}


def last_row(start: str, code: str) -> Found:
    text = f"{start}\nHere:\n{code}"
    lines = [Line(number, 0, line) for number, line in enumerate(text.splitlines(), 1)]
    *_, row = READERS[start](list(mark_lines(lines)))
    assert isinstance(row, Found)
    return row


@pytest.mark.parametrize("start", READERS)
@pytest.mark.parametrize("code", ["```python\nprint(1)\n\nQ: Lost?\nA: Yes.\n", "~~~\nx\n```\n\n"])
def test_a_fence_that_is_left_open_is_noted(start: str, code: str) -> None:
    assert last_row(start, code).notes == ("open_code_fence",)


@pytest.mark.parametrize("start", READERS)
@pytest.mark.parametrize("code", ["```\nx\n```", "````\n```\n````\n\n", "```\nx\n```\nMore."])
def test_a_fence_that_is_closed_is_not(start: str, code: str) -> None:
    assert last_row(start, code).notes == ()
