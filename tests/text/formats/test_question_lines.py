"""Lines that ask, and lines in their answers that look alike."""

from pathlib import Path

import pytest

from documents import pairs_in


@pytest.mark.parametrize(
    "inside", ["```\n1. Continue?\n```", "```\n**4. Continue**\n```", "**1. Open it**\nSlowly."]
)
def test_code_and_other_numbers_in_an_answer_ask_nothing(tmp_path: Path, inside: str) -> None:
    text = f"**3. How?**\n\nLike this:\n\n{inside}\n\n**4. Why?**\n\nSo.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("How?", f"Like this:\n\n{inside}"), ("Why?", "So.")]


@pytest.mark.parametrize("asked", [["Name it", "Why?", "How?"], ["Why?", "Name it", "How?"]])
def test_a_bold_line_with_the_next_number_asks_too(tmp_path: Path, asked: list[str]) -> None:
    text = "".join(f"**{at}. {question}**\n\nSo.\n\n" for at, question in enumerate(asked, 1))
    assert pairs_in(tmp_path, "text.md", text) == [(question, "So.") for question in asked]


@pytest.mark.parametrize("indent", ["    ", "  ", "\t"])
def test_items_that_ask_are_answered_in_what_is_indented_under_them(tmp_path: Path, indent: str) -> None:
    answer = "Like this:\n\n```\nx = 1\n    y\n```\n\n- slowly"
    inside = "".join(f"{indent}{line}\n" for line in answer.split("\n"))
    text = f"# FAQ\n\n- How?\n{inside}\n- Why?\n{indent}So.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("How?", answer), ("Why?", "So.")]


def test_a_list_of_questions_alone_asks_nothing(tmp_path: Path) -> None:
    assert pairs_in(tmp_path, "text.md", "We ask:\n\n- How?\n- Why?\n- Where?\n\n  The end.\n") == []


def test_boxes_to_tick_ask_nothing(tmp_path: Path) -> None:
    assert pairs_in(tmp_path, "todo.md", "- [ ] 买菜？\n  - 白菜\n- [x] 做饭？\n  - 米饭\n") == []
