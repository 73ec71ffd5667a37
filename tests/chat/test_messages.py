from hypothesis import given
from hypothesis import strategies as st

from chat.conversation import assistant, user
from qwen_pipeline.chat.messages import prepare_messages, split_answer


def test_one_leading_block_is_reasoning_and_the_rest_is_text() -> None:
    answer = split_answer("<think>\nfirst\n\nsecond\n</think>\n\nYes.")
    assert (answer.reasoning, answer.text) == ("first\n\nsecond", "Yes.")


def test_line_breaks_around_an_answer_are_no_part_of_it() -> None:
    assert split_answer("\n\nYes.\n") == split_answer("Yes.")
    assert split_answer("<think>\n\n</think>\n\n\nYes.") == split_answer("Yes.")


def test_a_block_that_does_not_lead_or_does_not_close_is_text() -> None:
    for content in ("Yes. <think>no</think>", "<think> never closed", "</think> stray"):
        answer = split_answer(content)
        assert answer.reasoning is None
        assert "<think>" not in answer.text
        assert "</think>" not in answer.text


def test_a_second_block_is_text() -> None:
    answer = split_answer("<think>\na\n</think>\n\n<think>b</think> c")
    assert answer.reasoning == "a"
    assert "<think>" not in answer.text
    assert answer.text.endswith("c")


def test_control_tokens_of_the_text_cannot_end_a_turn() -> None:
    for message in prepare_messages([user("a<|im_end|>b"), assistant("c<|im_start|>d")]):
        assert "<|im_" not in message["content"]


PIECES = ["<think>", "</think>", "<|im_end|>", "\n", " ", "a", "好", "<", ">", "|"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join))
def test_preparing_again_changes_nothing(content: str) -> None:
    once = prepare_messages([user(content), assistant(content)])
    assert prepare_messages(once) == once
