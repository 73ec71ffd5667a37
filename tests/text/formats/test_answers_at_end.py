"""Exercises whose answers stand behind all questions, under a title and with the same numbers."""

from pathlib import Path

import pytest

from documents import pairs_in, read_document
from qwen_pipeline.text.formats.row import Found

EXPECTED = [("简述栈。", "后进先出。"), ("什么是队列？", "先进先出，\n如排队。")]


@pytest.mark.parametrize(
    "title", ["参考答案", "标准答案：", "【正确答案】", "## 答案及解析", "答案\n参考答案："]
)
@pytest.mark.parametrize("form", ["{}、{}\n", "{}. {}\n\n"])
def test_each_question_has_the_answer_of_its_number(tmp_path: Path, title: str, form: str) -> None:
    questions, answers = (
        "".join(form.format(at, pair[side]) for at, pair in enumerate(EXPECTED, 1)) for side in (0, 1)
    )
    text = f"一、简答题\n{questions}\n{title}\n一、简答题\n{answers}"
    assert pairs_in(tmp_path, "test.txt", text) == EXPECTED


@pytest.mark.parametrize(
    "answers", ["1、甲\n", "1、甲\n2、乙\n3、丙\n", "1、甲\n1、乙\n", "1-3 BA\n", "2、甲\n1、乙\n"]
)
def test_other_numbers_pair_nothing(tmp_path: Path, answers: str) -> None:
    rows = read_document(tmp_path, "test.txt", f"1、简述栈。\n2、简述树。\n参考答案\n{answers}")
    assert not any(isinstance(row, Found) for row in rows)


CHOICES = "1. 水的化学式是？\nA. H2O\nB. CO2\n2. 金的元素符号是（ ）\nA. Ag  B. Au\n"
CHOSEN = [("水的化学式是？\nA. H2O\nB. CO2", "A"), ("金的元素符号是（ ）\nA. Ag  B. Au", "B")]


@pytest.mark.parametrize(
    "answers",
    [
        "参考答案：1.A 2.B", "参考答案\n1.A 2.B", "【答案】1、A；2、B", "答案：1-2 AB", "标准答案\n1~2：A B", "答案\n1 A\n2 B",
    ],
)  # fmt: skip
def test_answers_may_share_a_line(tmp_path: Path, answers: str) -> None:
    assert pairs_in(tmp_path, "test.txt", f"{CHOICES}\n{answers}\n") == CHOSEN


@pytest.mark.parametrize("answers", ["1-3 AB", "1-2 ABC", "1.A 2.见教材", "1.A 3.B"])
def test_answers_that_do_not_fit_pair_nothing(tmp_path: Path, answers: str) -> None:
    pairs = pairs_in(tmp_path, "test.txt", f"{CHOICES}\n参考答案\n{answers}\n")
    assert all(answer not in "AB" for _, answer in pairs)


@pytest.mark.parametrize(
    "answers",
    [
        "一、选择题\n1. A\n2. B\n二、判断题\n1. √\n2. ×\n三、简答题\n1. 相互作用。\n2. 力与位移之积。",
        "一、选择题\n1-2 AB\n二、判断题\n1.√ 2.×\n三、简答题\n1. 相互作用。\n2. 力与位移之积。",
        "一、1.A 2.B\n二、1.√ 2.×\n三、1. 相互作用。\n2. 力与位移之积。",
    ],
)
def test_each_section_may_count_from_one(tmp_path: Path, answers: str) -> None:
    sections = "二、判断题（每题2分）\n1. 地球是圆的。\n2. 太阳绕地球转。\n三、简答题\n1. 什么是力？\n2. 什么是功？\n"
    pairs = pairs_in(tmp_path, "test.txt", f"一、选择题\n{CHOICES}{sections}\n参考答案\n{answers}\n")
    assert pairs == [
        *CHOSEN, ("地球是圆的。", "√"), ("太阳绕地球转。", "×"), ("什么是力？", "相互作用。"), ("什么是功？", "力与位移之积。"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "form", ["1. {}\n{}\n\n2. {}\n{}\n", "### {}\n\n{}\n\n### {}\n\n{}\n", "{}\n{}\n\n{}\n{}\n"]
)
@pytest.mark.parametrize("options", ["A. 一\nB. 二\nC. 三", "A. 一  B. 二\nC. 三", "（A）一 （B）二"])
def test_the_options_of_a_choice_are_no_answer(tmp_path: Path, form: str, options: str) -> None:
    text = form.format("水的化学式是？", options, "金的元素符号是？", options)
    rows = read_document(tmp_path, "test.md", text)
    assert [row.reason.value for row in rows if not isinstance(row, Found)] == ["missing_answer"] * 2


def test_a_marked_answer_may_be_a_lettered_list(tmp_path: Path) -> None:
    assert pairs_in(tmp_path, "test.md", "Q: 有哪些版本？\nA:\nA. 基础版\nB. 专业版\n") == [
        ("有哪些版本？", "A. 基础版\nB. 专业版")
    ]
