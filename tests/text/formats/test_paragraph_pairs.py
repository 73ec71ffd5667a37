"""Paragraphs that ask and answer."""

from pathlib import Path

from documents import pairs_in, read_document
from qwen_pipeline.text.formats.row import Found

IN_TURN = [("What is a?", "It is a."), ("How long?", "Three days."), ("Is it free?", "Yes.")]


def test_a_title_may_stand_above_paragraphs_in_turn(tmp_path: Path) -> None:
    text = "常见问题\n\n" + "\n\n".join(part for pair in IN_TURN for part in pair)
    assert pairs_in(tmp_path, "text.txt", text) == IN_TURN


def test_a_question_at_the_end_of_paragraphs_in_turn_is_refused_alone(tmp_path: Path) -> None:
    text = "\n\n".join(part for pair in IN_TURN for part in pair) + "\n\nAnd then?\n"
    *found, last = read_document(tmp_path, "text.txt", text)
    assert len(found) == 3 and all(isinstance(row, Found) for row in found)
    assert not isinstance(last, Found) and last.excerpt == "And then?"


def test_a_long_question_is_one(tmp_path: Path) -> None:
    asked = "我今年三十岁，" + "最近工作很忙，晚上常常睡不好，" * 25 + "请问该怎么办？"
    text = f"{asked}\n早点休息。\n\n要吃药吗？\n先问医生。\n"
    assert pairs_in(tmp_path, "text.txt", text) == [(asked, "早点休息。"), ("要吃药吗？", "先问医生。")]


def test_a_paragraph_that_asks_nothing_is_refused(tmp_path: Path) -> None:
    text = "".join(f"What is {at}?\nIt is {at}.\n\n" for at in range(10)) + "Write to us\nat any time.\n"
    rows = read_document(tmp_path, "text.txt", text)
    assert [isinstance(row, Found) for row in rows] == [True] * 10 + [False]
