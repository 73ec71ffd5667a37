"""A number may stand right before a mark; in an answer of a document whose marks have none, it is a list's."""

from pathlib import Path

import pytest

from documents import pairs_in

NUMBERS = ["{}.", "{}、", "（{}）", "({})", "{})", "{}．", "{}. "]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "marks", [("Q:", "A:"), ("问：", "答："), ("【问】", "【答】"), ("问题：", "答案：")]
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_number_before_a_mark_is_no_part_of_the_question(
    tmp_path: Path, number: str, marks: tuple[str, str], count: int
) -> None:
    asked, answered = marks
    places = range(1, count + 1)
    text = "\n".join(f"{number.format(at)}{asked}第 {at} 步？\n{answered}在系统里做。" for at in places)
    assert pairs_in(tmp_path, "faq.txt", text) == [(f"第 {at} 步？", "在系统里做。") for at in places]


@pytest.mark.parametrize("numbers", ["①②", "一二", "１２"])
def test_numbers_of_other_kinds_may_stand_before_a_mark(tmp_path: Path, numbers: str) -> None:
    sign = {"①": "", "一": "、", "１": "．"}[numbers[0]]
    text = "\n".join(f"{at}{sign}问：如何？\n{at}{sign}答：这样。" for at in numbers)
    assert pairs_in(tmp_path, "faq.txt", text) == [("如何？", "这样。")] * 2


@pytest.mark.parametrize("inside", ["一、问题：背景\n二、答案：方案", "1、问题：背景\n2、回答：方案"])
def test_a_list_in_an_answer_keeps_its_numbers(tmp_path: Path, inside: str) -> None:
    text = f"Q: 怎么写？\nA: 三段：\n{inside}\nQ: 多长？\nA: 千字。\n"
    assert pairs_in(tmp_path, "faq.txt", text) == [("怎么写？", f"三段：\n{inside}"), ("多长？", "千字。")]


def test_numbered_titles_without_an_answers_mark_ask_nothing(tmp_path: Path) -> None:
    assert (
        pairs_in(tmp_path, "poems.txt", "一、题目：静夜思\n床前明月光。\n二、题目：春晓\n春眠不觉晓。\n")
        == []
    )
