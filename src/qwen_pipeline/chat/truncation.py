"""Shorten a prompt inside the users' texts, never in what the template writes."""

from collections.abc import Sequence
from typing import Literal

from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import prompt_ids

# Of the last question at least this much stays: an answer to no question teaches nothing.
MIN_QUESTION_TOKENS = 8


def shortest_prompt_tokens(tokenizer: Tokenizer, context: Sequence[Message]) -> int:
    """Tokens of the prompt when its users' texts are cut as far as they may be."""
    users = [index for index, message in enumerate(context) if message["role"] == "user"]
    shortest = [dict(message) for message in context]
    for index in users:
        keep = MIN_QUESTION_TOKENS if index == users[-1] else 0
        shortest[index]["content"] = _keep_end(tokenizer, context[index]["content"], keep, "left")
    return len(prompt_ids(tokenizer, shortest))


def fit_prompt(
    tokenizer: Tokenizer, context: Sequence[Message], room: int, side: Literal["left", "right"]
) -> tuple[list[Message], bool]:
    """Drop tokens of the users' texts, the oldest first, until the prompt fits.

    Args:
        tokenizer: With the chat template.
        context: The conversation up to the question.
        room: Most tokens of the prompt.
        side: The end of a text that is dropped.

    Returns:
        The messages to train with, and whether any was shortened.
    """
    fitted = [dict(message) for message in context]
    excess = len(prompt_ids(tokenizer, fitted)) - room
    if excess <= 0:
        return fitted, False
    for message in fitted:
        while excess > 0 and message["role"] == "user" and message["content"]:
            message["content"] = cut_text(tokenizer, message["content"], excess, side)
            excess = len(prompt_ids(tokenizer, fitted)) - room
    return fitted, True


def cut_text(tokenizer: Tokenizer, text: str, tokens: int, side: Literal["left", "right"]) -> str:
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


def _keep_end(tokenizer: Tokenizer, text: str, tokens: int, side: Literal["left", "right"]) -> str:
    count = len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return text if count <= tokens else cut_text(tokenizer, text, count - tokens, side)
