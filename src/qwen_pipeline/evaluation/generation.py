"""Answers in batches, from the very prompt that was trained on."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import end_of_turn, prompt_ids
from qwen_pipeline.memory.recovery import run_or_split
from qwen_pipeline.model.dropout import without_dropout
from qwen_pipeline.params.evaluate import GenerationConfig
from qwen_pipeline.text.progress import with_progress

logger = logging.getLogger(__name__)

OPEN, CLOSE = "<think>", "</think>"
# A longer prompt is read in parts. Read at once, without padding, its grouped heads are left to PyTorch, which has no kernel for them on a
# card before Ampere or in float32: scores of all heads would live, tokens by tokens (see `release.reading.causal_mask`).
PREFILL_TOKENS = 1024
SAMPLING = ("temperature", "top_p", "top_k")  # what only sampling reads


@dataclass(frozen=True)
class Answer:
    """One generated answer.

    Attributes:
        text: What the user sees; all that was generated where a thinking block was left open.
        thought: The thinking block, empty where there is none.
        block_closed: Whether the thinking block was closed; ``None`` where none was opened.
        stopped: Whether the model ended its turn by itself, within ``max_new_tokens``.
        tokens: Tokens generated.
    """

    text: str
    thought: str = ""
    block_closed: bool | None = None
    stopped: bool = True
    tokens: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@torch.no_grad()
def answer_questions(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    *,
    generation: Mapping[str, Any],
    batch_size: int,
    seed: int,
) -> list[Answer]:
    """Answer each conversation's last question.

    Questions of like length go together, so that little is padded; a batch that runs out of memory is split.

    Args:
        model: A causal model, with or without adapters.
        tokenizer: Its tokenizer, padding on the left.
        conversations: Turns up to the question.
        generation: Arguments of ``generate``.
        batch_size: Questions at a time.
        seed: Of the sampling.

    Returns:
        The answers, in the order of the questions.
    """
    torch.manual_seed(seed)
    arguments = generation_arguments(generation)
    stop = int(tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)))
    prompts = [prompt_ids(tokenizer, turns) for turns in conversations]
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    answers: dict[int, Answer] = {}
    with ordinary_attention(model), without_dropout(model):
        for batch in with_progress(batches, len(batches), "Answering questions"):
            for part in run_or_split(
                batch,
                run=lambda numbers: _generate(model, tokenizer, prompts, numbers, arguments, stop),
                split=_halves,
            ):
                answers |= part
    return [answers[number] for number in range(len(prompts))]


def generation_arguments(generation: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``generate``: what only sampling reads is left out without sampling, and said to be where it was set.

    Long prompts are read in parts.
    """
    arguments = {**generation, "prefill_chunk_size": PREFILL_TOKENS}
    if not arguments["do_sample"]:
        unread = [
            f"{name}={arguments[name]}"
            for name, ordinary in GenerationConfig().model_dump(include=set(SAMPLING)).items()
            if arguments.get(name, ordinary) != ordinary
        ]
        if unread:
            _tell_unread(" and ".join(unread))
        arguments |= dict.fromkeys(SAMPLING)
    return arguments


@cache  # once a run, whoever answers
def _tell_unread(settings: str) -> None:
    logger.warning(
        "generation_config: %s is read only when answers are sampled; set generation_config.do_sample=true.",
        settings,
    )


def _generate(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    numbers: list[int],
    arguments: dict[str, Any],
    stop: int,
) -> dict[int, Answer]:
    padded = tokenizer.pad({"input_ids": [prompts[n] for n in numbers]}, padding=True, return_tensors="pt")
    out = model.generate(
        **padded.to(model.device),
        **arguments,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=stop,
    )
    written = out[:, padded["input_ids"].shape[1] :].tolist()
    return {
        number: read_answer(tokenizer, prompts[number], ids, stop)
        for number, ids in zip(numbers, written, strict=True)
    }


def read_answer(tokenizer: Any, prompt: Sequence[int], written: Sequence[int], stop: int) -> Answer:
    """Take generated ids apart.

    Args:
        tokenizer: The model's.
        prompt: The prompt's ids; it may end in an open thinking block.
        written: What was generated, padding included.
        stop: Id of the token that ends a turn.
    """
    stopped = stop in written
    ids = list(written[: written.index(stop)]) if stopped else list(written)
    text = tokenizer.decode(ids, skip_special_tokens=True)
    opened = tokenizer.decode(prompt[-4:]).rstrip().endswith(OPEN) or text.lstrip().startswith(OPEN)
    thought, closed, rest = text.partition(CLOSE)
    if not closed:
        return Answer(
            text.strip(), text.strip() if opened else "", False if opened else None, stopped, len(ids)
        )
    return Answer(rest.strip(), thought.replace(OPEN, "").strip(), True, stopped, len(ids))


@contextmanager
def ordinary_attention(model: Any) -> Iterator[None]:
    """Use transformers' own attention for a while: generation pads and caches, which packed rows do not."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = inner.config._attn_implementation
    inner.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        inner.set_attn_implementation(before)


def _halves(numbers: list[int]) -> list[list[int]]:
    middle = len(numbers) // 2
    return [numbers[:middle], numbers[middle:]] if middle else [numbers]
