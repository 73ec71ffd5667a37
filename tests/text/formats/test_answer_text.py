"""A document's furniture is taken off in time that grows with the text alone."""

import pytest

from qwen_pipeline.text.formats.answer_text import tidy_answer, tidy_question
from qwen_pipeline.text.formats.content import Line
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.marked_lines import MarkedLine, mark_lines
from work_growth import grows_in_proportion


def lines_of(text: str) -> list[MarkedLine]:
    return list(mark_lines(Line(at, 0, line) for at, line in enumerate(text.split("\n"), 1)))


@pytest.mark.parametrize("end", ["<br>", " <br/>", "<BR />\n<br> \n", "<br\n>"])
def test_line_breaks_at_the_end_of_a_question_are_taken_off(end: str) -> None:
    assert tidy_question(f"What <br> is it?{end}") == "What <br> is it?"


def test_line_breaks_before_a_question_take_time_in_proportion() -> None:
    assert tidy_question("<br> " * 26 + "What is it?").endswith("What is it?")  # 16 seconds once
    assert grows_in_proportion(lambda many: tidy_question("<br> " * many + "What is it?"), 4000)
    assert grows_in_proportion(lambda many: tidy_question("What is it?" + " <br> " * many), 4000)


@pytest.mark.parametrize("link", ["[⬆ Back to top](#top)", "<b> </b> [ ↑ 返回顶部](#a)", "↑ ⬆ 返回顶部"])
def test_a_link_to_the_top_is_no_answer(link: str) -> None:
    lines = list(mark_lines([Line(1, 0, "That."), Line(2, 6, link)]))
    assert tidy_answer("", lines) == "That."


def test_a_line_of_spaces_takes_time_in_proportion() -> None:
    def tidy(many: int) -> str:
        return tidy_answer("", list(mark_lines([Line(1, 0, " " * many + "x")])))

    assert grows_in_proportion(tidy, 4000)


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("一、打开。", "\n二、关闭"),
        ("", "（一）准备\n\n（二）提交"),
        ("详见：", "\n第五章 保修条款"),
        ("", "请参考以下章节：\n\n第五章 保修条款"),
        ("", "第四章 使用\n第五章 保修条款"),
        ("分两步，一、打开；", "二、关闭"),
        ("", "【准备】\n【提交】"),
    ],
)
def test_items_and_what_a_colon_announces_are_no_title_of_a_section(start: str, text: str) -> None:
    assert tidy_answer(start, lines_of(text)) == "\n".join(part for part in (start, text) if part)


@pytest.mark.parametrize(
    "title", ["第二章 付款", "第2章 付款", "第二部分 付款", "二、付款问题", "（二）付款", "【付款】"]
)
@pytest.mark.parametrize("above", [[""], []])
def test_a_title_of_a_section_behind_an_answer_is_taken_off(title: str, above: list[str]) -> None:
    lines = list(mark_lines(Line(at, 0, line) for at, line in enumerate([*above, title], 1)))
    assert tidy_answer("是部件。", lines) == "是部件。"


def test_a_chapter_behind_a_list_is_taken_off() -> None:
    lines = list(
        mark_lines(Line(at, 0, line) for at, line in enumerate(["一、打开", "二、关闭", "第二章 付款"], 1))
    )
    assert tidy_answer("两步", lines) == "两步\n一、打开\n二、关闭"


def test_a_question_keeps_the_sign_that_it_ends_with():
    assert tidy_question("How do I add a class in C #") == "How do I add a class in C #"


@pytest.mark.parametrize("summary", ["", "<summary>Show answer</summary>"])
@pytest.mark.parametrize("behind", ["", "\n<br>\n\n---"])
def test_an_answer_that_is_one_folded_block_is_unfolded(summary: str, behind: str) -> None:
    inner = "Press it.\n<details><summary>More</summary>Or pull the plug.</details>"
    text = f"<details>\n{summary}\n\n{inner}\n\n</details>{behind}"
    assert tidy_answer("", lines_of(text)) == inner


@pytest.mark.parametrize(
    "text",
    [
        "<details>\n<summary>Show answer</summary>\n\napt install it\n</details>\n\nSee also the manual.",
        "<details><summary>Linux</summary>\napt install it\n</details>\n<details><summary>Mac</summary>\nbrew install it\n</details>",
    ],
)
def test_an_answer_of_several_blocks_or_that_goes_on_behind_one_loses_nothing(text: str) -> None:
    assert tidy_answer("", lines_of(text)) == text


@pytest.mark.parametrize("line", [":::{} x y", "A. x{} y", "<br {}"])
def test_long_odd_lines_take_time_in_proportion(line: str) -> None:
    def read(many: int) -> None:
        lines = lines_of(line.format(" \t" * many))
        row_of_pair(lines[0], "Which?", tidy_answer("", lines), lines)

    assert grows_in_proportion(read, 4000)
