"""Shorten a prompt inside the users' texts, never in what the template writes."""

from collections.abc import Sequence
from typing import Literal

from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import prompt_ids

Side = Literal["left", "right"]
# Of every question at least this much stays: an answer to no question teaches nothing.
MIN_QUESTION_TOKENS = 8


def shortest_prompt_tokens(tokenizer: Tokenizer, context: Sequence[Message], side: Side) -> int:
    """Tokens of the prompt when its users' texts are cut as far as they may be."""
    shortest = [
        {**message, "content": _shortest(tokenizer, message["content"], side)}
        if message["role"] == "user"
        else message
        for message in context
    ]
    return len(prompt_ids(tokenizer, shortest))


def fit_prompt(
    tokenizer: Tokenizer, context: Sequence[Message], room: int, side: Side
) -> tuple[list[Message], bool]:
    """Drop tokens of the users' texts, the oldest first, until the prompt fits; of each some stay.

    Args:
        tokenizer: With the chat template.
        context: The conversation up to the question.
        room: Most tokens of the prompt, at least ``shortest_prompt_tokens``.
        side: The end of a text that is dropped.

    Returns:
        The messages to train with, and whether any was shortened.
    """
    fitted = [dict(message) for message in context]
    excess = len(prompt_ids(tokenizer, fitted)) - room
    if excess <= 0:
        return fitted, False
    for message in fitted:
        while excess > 0 and message["role"] == "user":
            shorter = _shorten(tokenizer, message["content"], excess, side)
            if shorter == message["content"]:
                break
            message["content"] = shorter
            excess = len(prompt_ids(tokenizer, fitted)) - room
    return fitted, True


def cut_text(tokenizer: Tokenizer, text: str, tokens: int, side: Side) -> str:
    """Drop at least one character and about ``tokens`` tokens from one end of ``text``."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    kept = len(offsets) - tokens
    if kept <= 0:
        return ""
    if side == "left":
        return text[max(1, offsets[tokens][0]) :]
    return text[: min(len(text) - 1, offsets[kept - 1][1])]


def _shorten(tokenizer: Tokenizer, text: str, tokens: int, side: Side) -> str:
    """The text without about ``tokens`` tokens, but with ``MIN_QUESTION_TOKENS`` of them; unchanged where it has no more."""
    text = text.strip() or text  # what stays must not be white space alone
    count = len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    spare = min(tokens, count - MIN_QUESTION_TOKENS)
    return cut_text(tokenizer, text, spare, side) if spare > 0 else text


def _shortest(tokenizer: Tokenizer, text: str, side: Side) -> str:
    while (shorter := _shorten(tokenizer, text, len(text.encode()), side)) != text:
        text = shorter
    return text
