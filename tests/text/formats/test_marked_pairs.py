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


@pytest.mark.parametrize("number", ["{}.", "{}、", "（{}）", "({})", "{})", "{}．"])
@pytest.mark.parametrize(
    "marks", [("Q:", "A:"), ("问：", "答："), ("【问】", "【答】"), ("问题：", "答案：")]
)
def test_an_item_number_needs_no_space_before_a_mark(number: str, marks: tuple[str, str]) -> None:
    asked, answered = marks
    rows = read(
        "\n".join(
            f"{number.format(at)}{asked}怎么请假？\n{answered}在系统里提交，第 {at} 步。" for at in (1, 2)
        )
    )
    assert [row.messages for row in rows if isinstance(row, Found)] == [
        (("user", "怎么请假？"), ("assistant", f"在系统里提交，第 {at} 步。")) for at in (1, 2)
    ]


@pytest.mark.parametrize("numbers", ["①②", "一二"])
def test_a_chinese_number_may_stand_before_a_mark(numbers: str) -> None:
    rows = read("\n".join(f"{at}{'、' * (at in '一二')}问：{at}？\n答：{at}。" for at in numbers))
    assert [row.messages[0][1] for row in rows if isinstance(row, Found)] == [f"{at}？" for at in numbers]
