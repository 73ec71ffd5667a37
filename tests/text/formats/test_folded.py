"""Folded answers: every block is a row, however its tags are spread over the lines."""

import pytest

from qwen_pipeline.text.formats.content import Line
from qwen_pipeline.text.formats.folded import read_folded
from qwen_pipeline.text.formats.marked_lines import mark_lines
from qwen_pipeline.text.formats.row import Found


def pairs_of(text: str) -> list[tuple[int, str, str]]:
    lines = [Line(number, 0, line) for number, line in enumerate(text.splitlines(), 1)]
    rows = [row for row in read_folded(mark_lines(lines)) if isinstance(row, Found)]
    return [(row.line, row.messages[0][1], row.messages[1][1]) for row in rows]


def block(question: str, answer: str) -> str:
    return f"<details><summary>{question}</summary>{answer}</details>"


@pytest.mark.parametrize("between", ["", " ", " and ", "\n"])
def test_blocks_on_one_line_are_a_row_each(between: str) -> None:
    found = pairs_of(between.join([block("What is A?", "It is a."), block("What is B?", "It is b.")]))
    assert [pair[1:] for pair in found] == [("What is A?", "It is a."), ("What is B?", "It is b.")]


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_an_unclosed_block_ends_where_the_next_one_with_a_summary_of_its_own_begins(gap: str) -> None:
    text = (
        "<details><summary>What is A?</summary>\nIt is a.\n\n"
        + f"<details>{gap}<summary>What is B?</summary>It is b.</details>"
    )
    assert pairs_of(text) == [(1, "What is A?", "It is a."), (4, "What is B?", "It is b.")]


def test_a_block_inside_an_answer_stays_inside_where_all_are_closed() -> None:
    inner = block("More", "Or pull the plug.")
    assert pairs_of(block("How?", f"Press it. {inner} Then wait.") + block("Why?", "So.")) == [
        (1, "How?", f"Press it. {inner} Then wait."),
        (1, "Why?", "So."),
    ]


def test_an_opening_without_a_summary_does_not_swallow_the_next_block() -> None:
    assert pairs_of(f"<details>\nIntro.\n{block('What?', 'That.')}") == [(3, "What?", "That.")]


def test_tags_in_a_code_fence_are_text() -> None:
    fence = "```html\n<details><summary>x</summary></details>\n```"
    assert pairs_of(f"<details><summary>How?</summary>\n{fence}\n</details>\n{block('Why?', 'So.')}") == [
        (1, "How?", fence),
        (6, "Why?", "So."),
    ]


def test_many_unclosed_blocks_are_a_row_each() -> None:
    text = "\n".join(f"<details><summary>What is {at}?</summary>It is {at}." for at in range(500))
    assert [pair[2] for pair in pairs_of(text)] == [f"It is {at}." for at in range(500)]


@pytest.mark.parametrize("number", ["1. ", "1．", "1：", "①", "（1）", "一、", "Q1: "])
def test_a_number_of_any_form_is_no_part_of_the_question(number: str) -> None:
    assert pairs_of(block(f"{number}What is A?", "It is a.")) == [(1, "What is A?", "It is a.")]


@pytest.mark.parametrize(
    "form", ["Q1: {}", "1. {}", "**Q1:** {}", "<b>Question 1: {}</b>", "提问：{}", "<h3>① {}</h3>", "1.2 {}"]
)
def test_the_mark_of_a_folded_question_is_taken_off(form: str) -> None:
    assert pairs_of(block(form.format("What is A?"), "It is a.")) == [(1, "What is A?", "It is a.")]
