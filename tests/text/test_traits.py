"""What a trait promises: a text without it is one that the rule would not change."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_pipeline.text.damage import find_damage
from qwen_pipeline.text.normalise import normalise
from qwen_pipeline.text.repair import _is_suspect, may_be_mojibake, repair_mojibake
from qwen_pipeline.text.traits import COMPOSES, DAMAGED, ODD, SUSPECT, traits_of

GARBLED = st.text("浣犲ソ鎴戜滑锟斤拷Ã©â€œäå\x80\x9c的是一了在人e\u0301\u200b\u202e가ᅡ\ufffd \n", max_size=30)


@given(st.lists(st.text() | GARBLED, max_size=6))
@example(["", "e\u0301", "浣犲ソ锛屾垜浠", "a\x00b", "한", "ᄒ\u1161", "\u0915\u093c"])
def test_texts_without_a_trait_need_no_rule(texts):
    for text, traits in zip(texts, traits_of(texts), strict=True):
        flags = [bool(traits & trait) for trait in (COMPOSES, ODD, DAMAGED)]
        assert normalise(text, flags[0], flags[1]) == normalise(text)
        assert find_damage(text, flags[2]) == find_damage(text)
        assert traits & SUSPECT or not repair_mojibake(text).steps


@given(st.lists(st.text(max_size=40) | GARBLED, max_size=8))
@example(["你好，世界", "😀" * 9, "浣犲ソ锛屾垜浠", "a" * 7 + "浣犲ソ", "Ã©tÃ©"])
def test_looking_at_many_texts_at_once_passes_over_none_that_is_suspect(texts):
    for text, found in zip(texts, may_be_mojibake(texts), strict=True):
        assert found or text.isascii() or not _is_suspect(text)


def test_most_right_texts_are_passed_over():
    right = ["安装之前先检查显卡驱动的版本，再决定要不要升级。" * times for times in (1, 2, 9)]
    assert not may_be_mojibake([*right, "plain", ""]).any()


def test_ordinary_text_has_no_trait():
    texts = ["为什么全角 ｆ 要留下来？", "plain\n\ttext", ""]
    assert (traits_of(texts) & ~np.uint8(SUSPECT)).tolist() == [0, 0, 0]
