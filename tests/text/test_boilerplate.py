"""What belongs to the page goes; what belongs to the text stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.boilerplate import _EDGE_LINE, _LONGEST_LINE, _is_edge_line, remove_boilerplate


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("This website uses cookies to improve your experience.\n\nRestart it.", "Restart it."),
        ("本网站使用 Cookie，继续浏览即表示同意。\n重启即可。", "重启即可。"),
        ("跳过。\n\n上一篇：甲\n下一篇：乙\n返回顶部", "跳过。"),
        ("先装驱动。\n\n广告\n版权所有 某某公司", "先装驱动。"),
        ("Try again.\n\nSent from my iPhone", "Try again."),
        ("好。\n发自我的华为手机", "好。"),
        ("正文。\n扫描二维码关注公众号，领取资料", "正文。"),
        ("正文。\n© 2023 Example Inc. All rights reserved.", "正文。"),
        ("正文。\n\n责任编辑：张三\n转载请注明出处", "正文。"),
        ("Answer: 42", "42"),
        ("**回答：** 可以。", "可以。"),
        ("### Response:\nYes.", "Yes."),
        ("As an AI language model, I cannot drive.", "I cannot drive."),
        ("作为一个人工智能语言模型，我没有身体。", "我没有身体。"),
        ("换一根线。希望能帮到您，望采纳！", "换一根线。"),
    ],
)
def test_boilerplate_of_answers_is_removed(before, after):
    assert remove_boilerplate("assistant", before) == (after, True)


@pytest.mark.parametrize(
    "text",
    [
        "返回顶部",
        "Advertisement",
        "甲\n广告\n乙",
        "A: 1\nB: 2",
        "Answer:",
        "As an AI language model, Qwen is trained on text.",
        "As an artist, I paint.",
        "Dear Tom,\n\nsee you.\n\nBest regards,\nAnn",
        "老师采纳了我的建议。",
        "Translate to German:\nAll rights reserved.",
        "请翻译：\n\n转载请注明出处",
        "回答：\n",
        "我们使用 Cookie 记住登录状态。\n\n关掉它就要重新登录。",
        "网站会使用 Cookie 来记住登录状态。\n\n关掉它就要重新登录。",
    ],
)
def test_text_that_only_resembles_it_stays(text):
    cleaned, removed = remove_boilerplate("assistant", text)
    assert (cleaned, removed) == (text, False)


def test_question_marks_go_from_questions_only():
    assert remove_boilerplate("user", "Question: why?") == ("why?", True)
    assert remove_boilerplate("assistant", "Question: why?") == ("Question: why?", False)
    assert remove_boilerplate("system", "Answer: x") == ("Answer: x", False)


@given(st.from_regex(_EDGE_LINE, fullmatch=True).filter(lambda line: len(line) <= _LONGEST_LINE))
def test_letters_and_words_that_spare_the_pattern_pass_over_no_line_of_it(line):
    stripped = line.strip(" \t\u3000*_>-|·")
    assert _is_edge_line(line) == (_EDGE_LINE.fullmatch(stripped) is not None)
