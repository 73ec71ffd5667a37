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
    "answers", ["1、甲\n", "1、甲\n2、乙\n3、丙\n", "1、甲\n1、乙\n", "1-2 BA\n", "2、甲\n1、乙\n"]
)
def test_other_numbers_pair_nothing(tmp_path: Path, answers: str) -> None:
    rows = read_document(tmp_path, "test.txt", f"1、简述栈。\n2、简述树。\n参考答案\n{answers}")
    assert not any(isinstance(row, Found) for row in rows)
