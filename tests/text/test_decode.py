"""Bytes become the text that was written, each stretch with its encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.decode import decode

CHINESE = "你好，这个问题的答案是：我们可以在这里看到时间和地方。"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5"]
)
def test_chinese_is_read_in_every_encoding(encoding):
    text = CHINESE if encoding != "big5" else "這個問題的答案是：我們可以在這裡看到時間和地方，謝謝你的來信。"
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_english_utf16_without_a_mark_is_read(encoding):
    assert decode("Q1: What is it?\nA1: A test.".encode(encoding)).text == "Q1: What is it?\nA1: A test."


@pytest.mark.parametrize("text", ["x = 10 * 20\nprint(x)\n", "a0b0c0d0e0f0", "N=N=N=", "{}", ""])
def test_plain_ascii_stays_ascii(text):
    assert decode(text.encode()).text == text


def test_one_chinese_word_in_code_is_read_as_gb18030():
    code = "def main():\n    value = compute(1, 2)  # 计算\n    return value\n" * 2
    assert decode(code.encode("gbk")).text == code


def test_a_file_that_changes_encoding_is_right_on_both_sides():
    first, second = f"{CHINESE}\n" * 3, f"第二{CHINESE}\n" * 3
    decoded = decode(first.encode("gb18030") + second.encode("utf-8"))
    assert decoded.text == first + second
    assert decoded.encoding_at(0)[0] == "gb18030"
    assert decoded.encoding_at(len(first))[0] == "utf-8"


@given(st.binary(max_size=300))
def test_any_bytes_give_spans_that_cover_the_text(data):
    decoded = decode(data)
    ends = [0, *(span.end_char for span in decoded.spans)]
    assert [span.start_char for span in decoded.spans] == ends[:-1]
    assert ends[-1] == len(decoded.text)
