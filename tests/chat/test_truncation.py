import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase as Tokenizer

from chat.conversation import assistant, user
from model.tiny_model import TEXTS, TINY
from qwen_pipeline.chat.labels import EncodedTurn, LabelRules, TurnEncoder
from qwen_pipeline.model.demo_tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(TEXTS, TINY)
ANSWER = assistant("It scales.")


def encode(tokenizer: Tokenizer, messages: list[dict[str, str]], **rules: object) -> EncodedTurn:
    turn = TurnEncoder(tokenizer, LabelRules(**rules)).encode(messages)[-1]  # type: ignore[arg-type]
    assert isinstance(turn, EncodedTurn)
    return turn


@pytest.mark.parametrize(("side", "kept"), [("left", "end?"), ("right", "begin")])
def test_a_long_question_loses_text_on_the_asked_side_and_no_template(
    tokenizer: Tokenizer, side: str, kept: str
) -> None:
    question = "begin " + "middle " * 200 + "end?"
    row = encode(tokenizer, [user(question), ANSWER], max_sequence_length=100, truncation_side=side)
    text = tokenizer.decode(row.input_ids)
    assert row.question_cut
    assert 90 <= len(row.input_ids) <= 100
    assert text.startswith("<|im_start|>user\n")
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nIt scales.<|im_end|>")
    assert kept in text
    assert ("begin" in text) == (side == "right")


def test_the_oldest_text_goes_first_and_system_and_answers_stay(tokenizer: Tokenizer) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        user("old " * 100),
        assistant("Fine."),
        user("a b c d e f g?\n"),
        ANSWER,
    ]
    row = encode(tokenizer, messages, max_sequence_length=150)
    text = tokenizer.decode(row.input_ids)
    assert "Be brief." in text
    assert "Fine." in text
    assert "a b c d e f g?\n<|im_end|>" in text
    assert row.question_cut
    assert len(row.input_ids) <= 150


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_question_is_left_empty(tokenizer: Tokenizer, side: str) -> None:
    messages = [user("old " * 100), assistant("Fine."), user("new " * 100), ANSWER]
    fitting = 0
    for limit in range(40, 200, 8):
        short = LabelRules(max_sequence_length=limit, truncation_side=side)  # type: ignore[arg-type]
        turn = TurnEncoder(tokenizer, short).encode(messages)[-1]
        if isinstance(turn, EncodedTurn):
            fitting += 1
            text = tokenizer.decode(turn.input_ids)
            questions = [part.partition("<|im_end|>")[0] for part in text.split("<|im_start|>user\n")[1:]]
            assert ["old" in questions[0], "new" in questions[1]] == [True, True]
    assert fitting


@pytest.mark.parametrize("side", ["left", "right"])
def test_white_space_around_a_text_goes_before_its_words(tokenizer: Tokenizer, side: str) -> None:
    spaces = " \n" * 200
    row = encode(
        tokenizer, [user(f"{spaces}begin end?{spaces}"), ANSWER], max_sequence_length=60, truncation_side=side
    )
    assert "user\nbegin end?<|im_end|>" in tokenizer.decode(row.input_ids)


@settings(max_examples=60)
@given(
    question=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    limit=st.integers(60, 120),
    side=st.sampled_from(["left", "right"]),
)
def test_no_row_is_longer_than_the_limit(question: str, limit: int, side: str) -> None:
    rules = LabelRules(max_sequence_length=limit, truncation_side=side)  # type: ignore[arg-type]
    for row in TurnEncoder(TOKENIZER, rules).encode([user(question), ANSWER]):
        assert not isinstance(row, EncodedTurn) or len(row.input_ids) <= limit
