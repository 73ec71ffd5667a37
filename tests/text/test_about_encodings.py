"""A text about encodings is told from one whose words are misread."""

import pytest

from qwen_pipeline.text.about_encodings import mentions_characters


@pytest.mark.parametrize("text", ["You see Ã¤ where UTF-8 is decoded wrongly.", "鐢ㄦ埛 is mojibake."])
def test_characters_by_themselves_are_mentioned(text: str) -> None:
    assert mentions_characters(text)


@pytest.mark.parametrize(
    "text",
    [
        "L'encodage prÃ©serve tout.",
        "The word Ã¤ is German.",
        "鐢ㄦ埛鐢ㄦ埛鐢ㄦ埛 utf-8",
        "Right text about encodings: cafés.",
    ],
)
def test_characters_in_words_and_texts_about_something_else_are_not(text: str) -> None:
    assert not mentions_characters(text)
