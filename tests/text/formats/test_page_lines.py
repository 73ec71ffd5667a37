"""Page numbers and running titles that stand between pairs, or within an answer; and lines that only look so."""

from pathlib import Path

import pytest

from documents import pairs_in

PAIR = "问：第{0}项是什么？\n答：是{0}。\n"


@pytest.mark.parametrize(
    "page", ["第 {} 页 共 3 页", "第{}页/共3页", "第{}页", "Page {} of 3", "- {} -", "— {} —"]
)
@pytest.mark.parametrize("gap", ["", "\n"])
def test_page_numbers_are_no_part_of_an_answer(tmp_path: Path, page: str, gap: str) -> None:
    text = "".join(PAIR.format(at) + gap + page.format(at) + "\n" + gap for at in (1, 2, 3))
    assert pairs_in(tmp_path, "faq.txt", text) == [(f"第{at}项是什么？", f"是{at}。") for at in (1, 2, 3)]


@pytest.mark.parametrize("gap", ["", "\n"])
def test_an_answer_goes_on_behind_a_page_number_and_the_running_title(tmp_path: Path, gap: str) -> None:
    page = f"- {{}} -\n{gap}员工手册 内部资料\n"
    text = f"员工手册 内部资料\n问：如何报销？\n答：先填表，\n{page.format(1)}再交单。\n问：几天？\n答：三天。\n{page.format(2)}"
    assert pairs_in(tmp_path, "faq.txt", text) == [
        ("如何报销？", f"先填表，\n{gap}再交单。"),
        ("几天？", "三天。"),
    ]


@pytest.mark.parametrize("answer", ["第35页", "- 3 -", "如下：\n- 3 -\n- 7 -", "见书\n第 12 页"])
def test_a_number_that_no_other_follows_is_text(tmp_path: Path, answer: str) -> None:
    text = f"问：在哪里？\n答：\n{answer}\n问：几天？\n答：三天。\n"
    assert pairs_in(tmp_path, "faq.txt", text)[0] == ("在哪里？", answer)


def test_pages_in_code_stay(tmp_path: Path) -> None:
    answer = "```\nPage 1 of 2\n```"
    text = f"问：打印什么？\n答：\n{answer}\n问：几天？\n答：三天。\nPage 1 of 2\n"
    assert pairs_in(tmp_path, "faq.txt", text) == [("打印什么？", answer), ("几天？", "三天。")]


def test_a_short_answer_beside_page_numbers_is_no_running_title(tmp_path: Path) -> None:
    text = "".join(f"{at}、第{at}项对吗？\n- {at} -\n对\n" for at in (1, 2, 3))
    assert [answer for _, answer in pairs_in(tmp_path, "faq.txt", text)] == ["对"] * 3
