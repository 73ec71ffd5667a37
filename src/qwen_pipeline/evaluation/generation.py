"""Answers in batches, from the prompt that was trained on."""

from collections.abc import Sequence
from typing import Any

import torch
from rich.progress import track

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import prompt_ids


@torch.no_grad()
def answer_questions(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    *,
    generation: dict[str, Any],
    batch_size: int,
    seed: int,
) -> list[str]:
    """Answer each conversation's last question.

    Args:
        model: A causal model, in eval mode.
        tokenizer: Its tokenizer, padding on the left.
        conversations: Turns up to the question.
        generation: Arguments of ``generate``.
        batch_size: Questions at a time.
        seed: Of the sampling.

    Returns:
        The answers without their thoughts, in order.
    """
    torch.manual_seed(seed)
    arguments = dict(generation)
    if not arguments["do_sample"]:
        arguments |= {"temperature": None, "top_p": None, "top_k": None}
    answers: list[str] = []
    starts = range(0, len(conversations), batch_size)
    for start in track(starts, "generate", transient=True):
        prompts = [prompt_ids(tokenizer, turns) for turns in conversations[start : start + batch_size]]
        batch = tokenizer.pad({"input_ids": prompts}, padding=True, return_tensors="pt").to(model.device)
        out = model.generate(
            **batch, **arguments, use_cache=True, pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        )  # fmt: skip
        texts = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        answers += [answer_of(text) for text in texts]
    return answers


def answer_of(text: str) -> str:
    """What follows the thinking block of a generated text; all of it where no block is closed.

    Args:
        text: What was generated after the prompt, which itself may end in an open block.
    """
    return text.partition("</think>")[2].strip() if "</think>" in text else text.strip()
