"""Marked pairs keep their numbers, however high these are."""

import pytest

from qwen_pipeline.text.formats.content import Line
from qwen_pipeline.text.formats.marked_lines import mark_lines
from qwen_pipeline.text.formats.marked_pairs import read_marked
from qwen_pipeline.text.formats.row import Found, Row


def read(text: str) -> list[Row]:
    lines = [Line(number, 0, line) for number, line in enumerate(text.splitlines(), 1)]
    marked = list(mark_lines(lines))
    return list(read_marked(marked, marked, has_answer_marks=True))


@pytest.mark.parametrize("first", [99_998, 9_999_998, 999_999_990])
@pytest.mark.parametrize("between", ["\n", " "])
def test_high_numbers_are_numbers(first: int, between: str) -> None:
    numbers = range(first, first + 5)
    rows = read("\n\n".join(f"Q{at}: What is {at}?{between}A{at}: It is {at}." for at in numbers))
    assert all(isinstance(row, Found) for row in rows)
    assert [row.messages[1][1] for row in rows if isinstance(row, Found)] == [
        f"It is {at}." for at in numbers
    ]
