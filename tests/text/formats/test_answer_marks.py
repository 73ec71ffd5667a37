"""Documents that mark the answers alone: the question is what stands above each mark, with a question mark or without."""

from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats.row import Found

EXPECTED = [("如何注册", "打开官网。", 0), ("忘记密码怎么处理？", "点击找回。", 0), ("支付方式", "现金。", 0)]


def pairs(folder: Path, text: str) -> list[tuple[str, str, int]]:
    rows = read_document(folder, "faq.txt", text)
    assert all(isinstance(row, Found) for row in rows)
    return [(row.messages[0][1], row.messages[1][1], row.line) for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize("number", ["{}、", "{}. ", "({})", "第{}题 ", "", "第{}题：", "**{}. "])
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
@pytest.mark.parametrize("mark", ["答：", "答案：", "Answer: ", "Correct answer: "])
def test_the_line_above_an_answers_mark_is_the_question(tmp_path, number, gap, mark):
    bold = "**" if number.startswith("**") else ""
    entries = [
        f"{number.format(at)}{question}{bold}{gap}{mark}{answer}\n"
        for at, (question, answer, _) in enumerate(EXPECTED, 1)
    ]
    found = pairs(tmp_path, "\n".join(entries))
    assert [(question, answer) for question, answer, _ in found] == [two[:2] for two in EXPECTED]
    assert [line for *_, line in found] == [1, 3 + len(gap), 5 + 2 * len(gap)]


def test_a_list_in_an_answer_is_none_of_the_questions(tmp_path):
    text = "1. 如何注册\n答：步骤：\n1. 打开\n2. 填写\n2. 如何注销\n答：两步：\n1. 申请\n2. 等待\n3. 密码呢\n答：找回。\n"
    assert pairs(tmp_path, text) == [
        ("如何注册", "步骤：\n1. 打开\n2. 填写", 1),
        ("如何注销", "两步：\n1. 申请\n2. 等待", 5),
        ("密码呢", "找回。", 9),
    ]


def test_options_and_points_belong_to_the_question(tmp_path):
    text = "1. 哪个是水果（ ）\n\nA. 石头\nB. 苹果\n答案：B\n\n2. 简述：\n1) 栈\n2) 队列\n答：略。\n"
    assert pairs(tmp_path, text) == [
        ("哪个是水果（ ）\n\nA. 石头\nB. 苹果", "B", 1),
        ("简述：\n1) 栈\n2) 队列", "略。", 7),
    ]


def test_numbers_begin_again_in_every_section(tmp_path):
    text = "一、账号\n\n1、如何注册\n答：打开。\n\n2、如何注销\n答：申请。\n\n二、支付\n\n1、如何付款\n答：刷卡。\n"
    assert [question for question, *_ in pairs(tmp_path, text)] == ["如何注册", "如何注销", "如何付款"]


def test_a_sections_title_in_plain_text_is_no_part_of_the_answer_before_it(tmp_path):
    text = "一、账号\n\nQ1：如何注册\nA1：打开。\n\n二、支付问题\n\nQ2：如何付款\nA2：刷卡。\n\n（三）其他\n"
    assert pairs(tmp_path, text) == [("如何注册", "打开。", 3), ("如何付款", "刷卡。", 8)]


def test_the_last_item_of_a_list_is_no_sections_title(tmp_path):
    text = "Q1：分几步\nA1：两步：\n\n一、准备\n\n二、安装\n\nQ2：然后\nA2：完成。\n"
    assert pairs(tmp_path, text)[0][1] == "两步：\n\n一、准备\n\n二、安装"


def test_a_break_in_a_tables_cell_is_a_line_break_but_in_code_it_is_text(tmp_path):
    text = "| 问题 | 答案 |\n|---|---|\n| 如何注册 | 打开<br>填写 |\n| 换行呢 | 用 `<br>` |\n"
    assert pairs(tmp_path, text) == [("如何注册", "打开\n填写", 3), ("换行呢", "用 `<br>`", 4)]


@pytest.mark.parametrize("number", ["（{}）", "{}、", "●", "■ ", ""])
def test_a_list_of_digits_is_an_answers_where_questions_have_no_digits(tmp_path, number):
    steps = "如下：\n（1）申请；\n（2）退款。"
    entries = [("如何注册？", "打开。"), ("如何退货？", steps), ("如何付款？", "刷卡。")]
    text = "".join(
        f"{number.format(chinese)}{question}\n答：{answer}\n"
        for chinese, (question, answer) in zip("一二三", entries, strict=True)
    )
    assert [two[:2] for two in pairs(tmp_path, text)] == entries


def test_a_chapter_above_a_plain_question_is_no_part_of_it(tmp_path):
    text = "如何注册？\n答：打开。\n\n第二章 支付\n如何付款？\n答：刷卡。\n"
    assert [two[:2] for two in pairs(tmp_path, text)] == [("如何注册？", "打开。"), ("如何付款？", "刷卡。")]


@pytest.mark.parametrize("asked", ["1. {}", "**练习 1**：{}", "**练习 1：** {}", "Exercise 1: {}"])
def test_the_marked_answers_may_stand_in_block_quotes(tmp_path, asked):
    entries = [
        f"{asked.replace('1', str(at)).format(question)}\n\n> **答案**：{answer}\n> 如上。\n"
        for at, (question, answer, _) in enumerate(EXPECTED, 1)
    ]
    found = pairs(tmp_path, "\n".join(entries))
    assert [two[:2] for two in found] == [(question, f"{answer}\n如上。") for question, answer, _ in EXPECTED]


@pytest.mark.parametrize(
    "options", ["A: width\n\nB: table", "A. width\nB. table\nC. head", "A. width  B. table"]
)
@pytest.mark.parametrize("asked", ["{}. 哪个是标签（B）？", "{}. 哪个是标签（B）", "## {}. 哪个是标签？"])
def test_the_options_of_a_choice_are_no_answer(tmp_path, options, asked):
    text = "".join(f"{asked.format(at)}\n\n{options}\n\n" for at in (1, 2))
    rows = read_document(tmp_path, "faq.txt", text)
    assert [(row.reason, row.line) for row in rows if not isinstance(row, Found)] and len(rows) == 2
    assert not [row for row in rows if isinstance(row, Found)]


def test_an_answer_that_lists_by_letters_is_one(tmp_path):
    text = "1. 有哪些步骤？\n两步：\nA. 申请\nB. 等待\n2. 哪几类？\nA. 甲\nC. 丙\n"
    assert [two[1] for two in pairs(tmp_path, text)] == ["两步：\nA. 申请\nB. 等待", "A. 甲\nC. 丙"]
