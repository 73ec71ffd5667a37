"""Cleaning leaves alone what only looks like leftovers: code, lists, indents."""

import pytest

from qwen_pipeline.text.clean_row import CleanRow, CleanRules
from text.cleaning import clean_row


def cleaned(answer):
    row = clean_row([("user", "How is it written?"), ("assistant", answer)], "rows.jsonl", CleanRules())
    assert isinstance(row, CleanRow)
    return row.answer, row.repairs


@pytest.mark.parametrize(
    "answer",
    [
        "int *ptr = &num;\nprintf(\"%d\", *ptr);",
        "scanf(\"%d\", &sum);",
        "use(&param; other)",
        "return &current;",
        "interface Callback<P> {\n  run(p: P): void;\n}",
        "活动分三类：\n- 公关\n- 促销\n- 广告",
        "新建：Ctrl+N\n编辑：Ctrl+E",
        "    y = x + 1\n    return y",
        "\tif a:\n\t\tb()\n\tc()",
    ],
)  # fmt: skip
def test_right_text_stays_as_it_is(answer):
    assert cleaned(answer) == (answer, [])


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("A &amp; B &lt; C&nbsp;D", "A & B < C D"),
        ("caf&eacute; &copy; 2023", "café © 2023"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("先装驱动。\n\n广告\n责任编辑：张三", "先装驱动。"),
        ("正文。\n编辑：李四", "正文。"),
        ("  one line", "one line"),
        ("  first\nsecond", "first\nsecond"),
    ],
)
def test_leftovers_still_go(answer, wanted):
    assert cleaned(answer)[0] == wanted


@pytest.mark.parametrize(
    "answer",
    [
        "字符 “\ufffd” 表示无法解码的字节。",
        "You see \ufffd where bytes were lost.",
        "`\ufffd\ufffd`：编码错了",
    ],
)
def test_a_text_about_lost_characters_is_not_lost(answer):
    assert cleaned(answer)[0] == answer


@pytest.mark.parametrize(
    "answer", ["先打\ufffd\ufffd检查点，再试。", "caf\ufffd is open", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"]
)
def test_a_text_with_lost_characters_is_refused(answer):
    row = clean_row([("user", "How?"), ("assistant", answer)], "rows.jsonl", CleanRules())
    assert not isinstance(row, CleanRow)


@pytest.mark.parametrize(
    "answer",
    [
        "If you see 鐢ㄦ埛 in the console, the charset is wrong.",
        "鐢ㄦ埛 is mojibake.",
        "Why do I get Ã¤Ã¶Ã¼ in my page? Set the charset.",
        "Set `charset=utf-8`; else you get ä½ å¥½.",
    ],
)
def test_strange_characters_that_a_text_about_encodings_shows_stay(answer):
    assert cleaned(answer) == (answer, [])


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("ä½¿ç”¨ utf-8 ç¼–ç\xa0\x81å’Œè§£ç\xa0\x81", "使用 utf-8 编码和解码"),
        ("鐢ㄦ埛 utf-8 鐢ㄦ埛", "用户 utf-8 用户"),
    ],
)
def test_a_text_about_encodings_that_is_itself_misread_is_repaired(answer, wanted):
    assert cleaned(answer)[0] == wanted
