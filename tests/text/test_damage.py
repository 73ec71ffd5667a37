"""What of a text is beyond repair."""

import pytest

from qwen_pipeline.text.damage import find_damage


@pytest.mark.parametrize("text", ["???????", "?????? Python ????????", "????: ??? 3 ????", "?? ??\n?? ??"])
def test_question_marks_where_letters_were_are_damage(text):
    assert find_damage(text) == "characters were lost (? stands for them)"


@pytest.mark.parametrize(
    "text", ["???", "What????", "a ? b : c", "Why? Who? When?", "今天怎么了？？？？？？", "？？？？？？"]
)
def test_question_marks_that_ask_are_none(text):
    assert find_damage(text) is None
