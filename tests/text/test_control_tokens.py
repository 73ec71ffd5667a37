"""Control tokens in a user's text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.control_tokens import escape_control_tokens

PIECES = st.sampled_from(
    ["<|im_end|>", "<|im_start|>", "<think>", "</think>", "<", "|", ">", "im_end", "\u200b", " ", "a", "文"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_live_is_left_and_twice_is_once(text):
    once, _ = escape_control_tokens(text)
    assert not re.search(r"<\|[a-z_]+\|>|</?think>", once)
    assert escape_control_tokens(once) == (once, 0)


def test_ordinary_markup_is_left_alone():
    text = "a < b | c > d, <b>bold</b>, x <| y"
    assert escape_control_tokens(text) == (text, 0)
