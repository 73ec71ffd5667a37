"""Numbered questions of which some have no question mark."""

from pathlib import Path

import pytest

from documents import pairs_in

FORMS = ["{}、", "{}. ", "{}）"]


@pytest.mark.parametrize("form", FORMS)
def test_the_number_that_is_left_out_is_a_question_too(tmp_path: Path, form: str) -> None:
    asked = ["简述栈", "什么是队列？", "说明树", "列举图", "什么是堆？"]
    text = "".join(f"{form.format(at)}{question}\n是{at}。\n" for at, question in enumerate(asked, 1))
    assert pairs_in(tmp_path, "faq.txt", text) == [
        (question, f"是{at}。") for at, question in enumerate(asked, 1)
    ]


@pytest.mark.parametrize(
    "numbers", [["九", "十", "十一", "十二"], ["八", "九", "十", "十一"], ["十八", "十九", "二十", "二十一"]]
)
def test_chinese_numbers_count_beyond_ten(tmp_path: Path, numbers: list[str]) -> None:
    asked = ["什么是栈？", "什么是树？", "简述图", "什么是堆？"]
    text = "".join(f"{number}、{question}\n如下。\n" for number, question in zip(numbers, asked, strict=True))
    assert [question for question, _ in pairs_in(tmp_path, "faq.txt", text)] == asked


@pytest.mark.parametrize(
    "steps",
    ["1、打开\n2、填写\n3、提交", "2、填写\n2、提交", "2、填写", "（2）填写", "```\n2、填写\n很快\n```"],
)
def test_a_list_in_an_answer_asks_nothing(tmp_path: Path, steps: str) -> None:
    text = f"1、如何注册？\n{steps}\n3、如何注销？\n申请。\n4、多久？\n三天。\n"
    asked = [question for question, _ in pairs_in(tmp_path, "faq.txt", text)]
    assert asked == ["如何注册？", "如何注销？", "多久？"]
