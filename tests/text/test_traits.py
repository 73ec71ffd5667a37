"""What a trait promises: a text without it is one that the rule would not change."""

from hypothesis import example, given
from hypothesis import strategies as st

from qwen_pipeline.text.damage import find_damage
from qwen_pipeline.text.normalise import normalise
from qwen_pipeline.text.traits import COMPOSES, DAMAGED, ODD, traits_of

GARBLED = st.text("浣犲ソ鎴戜滑锟斤拷Ã©â€œäå\x80\x9c的是一了在人e\u0301\u200b\u202e가ᅡ\ufffd \n", max_size=30)


@given(st.lists(st.text() | GARBLED, max_size=6))
@example(["", "e\u0301", "浣犲ソ锛屾垜浠", "a\x00b", "한", "ᄒ\u1161", "\u0915\u093c"])
def test_texts_without_a_trait_need_no_rule(texts):
    for text, traits in zip(texts, traits_of(texts), strict=True):
        flags = [bool(traits & trait) for trait in (COMPOSES, ODD, DAMAGED)]
        assert normalise(text, flags[0], flags[1]) == normalise(text)
        assert find_damage(text, flags[2]) == find_damage(text)


def test_ordinary_text_has_no_trait():
    assert traits_of(["为什么 ｆｕｌｌ 宽？", "plain\n\ttext", ""]).tolist() == [0, 0, 0]
