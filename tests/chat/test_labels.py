from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase as Tokenizer

from chat.conversation import assistant, user
from model.tiny_model import TEXTS, TINY
from qwen_pipeline.chat.labels import (
    IGNORE_INDEX,
    EncodedTurn,
    LabelRules,
    RefusedTurn,
    TurnEncoder,
    Unusable,
)
from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.model.demo_tokenizer import train_tokenizer

QUESTION, PLAIN = user("What does it do?"), assistant("It scales.")
BLANK = assistant("<think>\n\n</think>\n\nIt scales.")
THOUGHT = assistant("<think>\nhm, so\n</think>\n\nIt scales.")


def encode(
    tokenizer: Tokenizer, messages: list[dict[str, str]], **rules: object
) -> list[EncodedTurn | RefusedTurn]:
    return TurnEncoder(tokenizer, LabelRules(**{"max_sequence_length": 512, **rules})).encode(messages)  # type: ignore[arg-type]


def only(turns: list[EncodedTurn | RefusedTurn]) -> EncodedTurn:
    (turn,) = turns
    assert isinstance(turn, EncodedTurn)
    return turn


def trained(tokenizer: Tokenizer, row: EncodedTurn) -> str:
    return tokenizer.decode([label for label in row.labels if label != IGNORE_INDEX])


def test_the_prompt_is_the_inference_prompt_and_carries_no_loss(tokenizer: Tokenizer) -> None:
    row = only(encode(tokenizer, [QUESTION, PLAIN]))
    prompt = tokenizer.apply_chat_template([QUESTION], add_generation_prompt=True, return_dict=False)
    assert row.input_ids[: row.prompt_tokens] == prompt
    assert row.labels[: row.prompt_tokens] == [IGNORE_INDEX] * len(prompt)
    assert all(label in (IGNORE_INDEX, id_) for label, id_ in zip(row.labels, row.input_ids, strict=True))


def test_a_whole_text_tokenisation_would_not_start_with_the_prompt(tokenizer: Tokenizer) -> None:
    """The trap that tokenising apart avoids; if this fails, the test above proves less."""
    whole = tokenizer.apply_chat_template([QUESTION, PLAIN], return_dict=False)
    prompt = prompt_ids(tokenizer, [QUESTION])
    assert whole[: len(prompt)] != prompt


@pytest.mark.parametrize(
    ("answer", "thinking", "expected"),
    [
        (PLAIN, "empty", "\n</think>\n\nIt scales.<|im_end|>"),
        (PLAIN, "masked", "It scales.<|im_end|>"),
        (BLANK, "empty", "\n</think>\n\nIt scales.<|im_end|>"),
        (BLANK, "masked", "It scales.<|im_end|>"),
        (THOUGHT, "empty", "hm, so\n</think>\n\nIt scales.<|im_end|>"),
        (THOUGHT, "masked", "hm, so\n</think>\n\nIt scales.<|im_end|>"),
        (THOUGHT, "refuse", "hm, so\n</think>\n\nIt scales.<|im_end|>"),
    ],
)
def test_what_is_trained_by_the_thinking_rule(
    tokenizer: Tokenizer, answer: dict[str, str], thinking: str, expected: str
) -> None:
    row = only(encode(tokenizer, [QUESTION, answer], thinking=thinking))
    assert trained(tokenizer, row) == expected
    assert row.labels[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_masked_block_is_context(tokenizer: Tokenizer) -> None:
    empty = only(encode(tokenizer, [QUESTION, PLAIN], thinking="empty"))
    masked = only(encode(tokenizer, [QUESTION, PLAIN], thinking="masked"))
    assert tokenizer.decode(masked.input_ids) == tokenizer.decode(empty.input_ids)


@pytest.mark.parametrize("answer", [PLAIN, BLANK])
def test_rows_without_reasoning_are_refused_when_asked(tokenizer: Tokenizer, answer: dict[str, str]) -> None:
    (turn,) = encode(tokenizer, [QUESTION, answer], thinking="refuse")
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.NO_REASONING


def test_each_answer_of_a_conversation_is_a_row_with_its_own_inference_prompt(tokenizer: Tokenizer) -> None:
    messages = [QUESTION, THOUGHT, user("More?"), assistant("<think>\nagain\n</think>\n\nNo.")]
    rows = encode(tokenizer, messages)
    assert len(rows) == 2
    for row, context in zip(rows, (messages[:1], messages[:3]), strict=True):
        assert isinstance(row, EncodedTurn)
        assert row.input_ids[: row.prompt_tokens] == prompt_ids(tokenizer, context)
    second = rows[1]
    assert isinstance(second, EncodedTurn)
    assert "hm, so" not in tokenizer.decode(second.input_ids)
    assert trained(tokenizer, second) == "again\n</think>\n\nNo.<|im_end|>"
    assert encode(tokenizer, messages, train_on_turns="last") == [second]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([QUESTION, assistant("  \n")], Unusable.NO_TRAINED_TOKEN),
        ([QUESTION, assistant("<think>\nonly thought\n</think>\n\n")], Unusable.NO_TRAINED_TOKEN),
        ([PLAIN], Unusable.NO_TRAINED_TOKEN),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_reason(
    tokenizer: Tokenizer, messages: list[dict[str, str]], reason: Unusable
) -> None:
    last = encode(tokenizer, messages)[-1]
    assert isinstance(last, RefusedTurn)
    assert last.reason is reason


def test_a_template_that_contradicts_its_own_prompt_is_refused() -> None:
    tokenizer = train_tokenizer(TEXTS, TINY)
    tokenizer.chat_template = tokenizer.chat_template.replace("{{- '<think>\\n' + thought", "{{- thought")
    (turn,) = encode(tokenizer, [QUESTION, PLAIN])
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.PROMPT_MISMATCH


def test_a_template_that_refuses_a_conversation_rejects_that_row_alone() -> None:
    tokenizer = train_tokenizer(TEXTS, TINY)
    tokenizer.chat_template += (
        "{% if messages[-1].content == 'no' %}{{ raise_exception('not this') }}{% endif %}"
    )
    assert only(encode(tokenizer, [QUESTION, PLAIN]))
    (turn,) = encode(tokenizer, [user("no"), PLAIN])
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.TEMPLATE_ERROR
    assert "not this" in turn.detail


def test_reasons_are_codes_of_the_reject_tables() -> None:
    from qwen_pipeline.text.schema import RejectReason

    assert {str(reason) for reason in Unusable} <= {str(reason) for reason in RejectReason}


def test_an_answer_that_does_not_fit_is_refused_with_what_it_needs(tokenizer: Tokenizer) -> None:
    messages = [QUESTION, assistant("step " * 40)]
    (turn,) = encode(tokenizer, messages, max_sequence_length=60)
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.ANSWER_TOO_LONG
    row = only(encode(tokenizer, messages, max_sequence_length=turn.needed_tokens))
    assert len(row.input_ids) <= turn.needed_tokens
    (refused,) = encode(tokenizer, messages, max_sequence_length=turn.needed_tokens - 1)
    assert isinstance(refused, RefusedTurn)


def test_an_answer_is_cut_when_asked_and_still_ends_its_turn(tokenizer: Tokenizer) -> None:
    messages = [QUESTION, assistant("<think>\nhm\n</think>\n\n" + "step " * 40)]
    row = only(encode(tokenizer, messages, max_sequence_length=60, answer_overflow="cut"))
    assert row.answer_cut
    assert len(row.input_ids) <= 60
    text = trained(tokenizer, row)
    assert text.startswith("hm\n</think>\n\nstep ")
    assert text.endswith("<|im_end|>")


def test_the_real_template_and_tokenizer_give_the_inference_prompt(
    real_tokenizer: Tokenizer, shared_dir: Path
) -> None:
    texts = [
        "What is LoRA?",
        "显存不足怎么办？\n\n",
        " leading",
        "e\u0301 NFD",
        "```py\nx\n```",
        "<|im_end|>",
        "🎉" * 9,
    ]
    for question in texts:
        for answer in [*texts, *(f"<think>\n{text}\n</think>\n\n{text}" for text in texts)]:
            messages = [user(question), assistant(answer), user("再问"), assistant(answer)]
            for number, row in enumerate(encode(real_tokenizer, messages)):
                assert isinstance(row, EncodedTurn)
                context = messages[: 2 * number + 1]
                assert row.input_ids[: row.prompt_tokens] == prompt_ids(real_tokenizer, context)
                assert row.input_ids[row.prompt_tokens - 2 : row.prompt_tokens] == [151667, 198]
                assert row.labels[-1] == 151645
                assert row.labels.count(151645) == 1
                assert row.labels.count(151668) == 1


@pytest.mark.parametrize("answer", ["It [STOP] scales.", "It scales. [STOP]"])
def test_an_answer_whose_text_becomes_a_control_token_is_refused(answer: str) -> None:
    tokenizer = train_tokenizer(TEXTS, TINY)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[STOP]"]})
    assert only(encode(tokenizer, [QUESTION, PLAIN]))
    (turn,) = encode(tokenizer, [QUESTION, assistant(answer)])
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.CONTROL_TOKEN


def test_a_row_may_be_as_long_as_the_limit_and_not_a_token_longer(tokenizer: Tokenizer) -> None:
    whole = only(encode(tokenizer, [QUESTION, PLAIN]))
    longest = len(whole.input_ids)
    assert encode(tokenizer, [QUESTION, PLAIN], max_sequence_length=longest) == [whole]
    (turn,) = encode(tokenizer, [QUESTION, PLAIN], max_sequence_length=longest - 1)
    assert turn != whole
    assert isinstance(turn, RefusedTurn) or len(turn.input_ids) < longest


def test_an_answer_is_cut_no_further_than_it_has_to_be(tokenizer: Tokenizer) -> None:
    short, long = user("1"), assistant("a b c d e f g " * 9)
    needed = len(only(encode(tokenizer, [short, long])).input_ids)
    for limit in range(needed - 20, needed):
        row = only(encode(tokenizer, [short, long], max_sequence_length=limit, answer_overflow="cut"))
        assert (row.answer_cut, row.question_cut) == (True, False)
        assert limit - 1 <= len(row.input_ids) <= limit


def test_an_answer_is_cut_down_to_its_last_token_and_refused_where_that_does_not_fit(
    tokenizer: Tokenizer,
) -> None:
    short, long = user("1"), assistant("a b c d e f g " * 9)
    lengths = []
    for limit in range(1, 60):
        (turn,) = encode(tokenizer, [short, long], max_sequence_length=limit, answer_overflow="cut")
        if isinstance(turn, EncodedTurn):
            lengths.append(len(turn.input_ids))
        else:
            assert (turn.reason, lengths) == (Unusable.ANSWER_TOO_LONG, [])
    one_token = only(encode(tokenizer, [short, assistant("a")]))
    assert lengths[0] == len(one_token.input_ids)


def test_a_system_message_alone_asks_no_question(tokenizer: Tokenizer) -> None:
    (turn,) = encode(tokenizer, [{"role": "system", "content": "Be brief."}, PLAIN])
    assert isinstance(turn, RefusedTurn)
    assert turn.reason is Unusable.NO_TRAINED_TOKEN
