"""The live adapter's side of every comparison: its prompts, predictions and greedy answers, taken once."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import end_of_turn, prompt_ids
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import load_adapter
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release.reading import Reading, read_model, targets_of

ANSWERED_ROWS, ANSWER_TOKENS = 8, 48

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LiveAnswers:
    """What exports are held against.

    Attributes:
        rows: Held-out rows.
        conversations: Their conversations up to the question.
        prompts: The ids that the trained tokenizer makes of the conversations.
        targets: The trained tokens of the rows.
        reading: The live adapter's predictions of them.
        answers: Its greedy answers to the first rows.
        stops: Tokens that end an answer.
    """

    rows: Sequence[Row]
    conversations: Sequence[Sequence[Message]]
    prompts: Sequence[list[int]]
    targets: torch.Tensor
    reading: Reading
    answers: Sequence[list[int]]
    stops: frozenset[int]


def read_live(
    source: ModelSource,
    adapter: Path,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    conversations: Sequence[Sequence[Message]],
    device: torch.device,
) -> LiveAnswers:
    """Open the adapter on its 4-bit base, take what is needed, and close it again.

    Products are in float32, so that what is measured is the weights and not the rounding of a forward pass.
    """
    base = load_quantized_model(source, compute_dtype=torch.float32, device=device)
    model = load_adapter(base, adapter)
    stops = frozenset({int(tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)))})
    answers = LiveAnswers(
        rows=rows,
        conversations=conversations,
        prompts=[prompt_ids(tokenizer, turns) for turns in conversations],
        targets=targets_of(rows),
        reading=read_model(model, rows),
        answers=[answer_greedily(model, prompt_of(row), stops) for row in rows[:ANSWERED_ROWS]],
        stops=stops,
    )
    del model, base
    release_memory()
    return answers


def prompt_of(row: Row) -> list[int]:
    """A row's tokens before the first trained one."""
    first = next(number for number, label in enumerate(row["labels"]) if label >= 0)
    return list(row["input_ids"][:first])


@torch.no_grad()
def answer_greedily(model: Any, prompt: Sequence[int], stops: frozenset[int]) -> list[int]:
    """The likeliest token each time, without the token that ended the answer."""
    ids = torch.tensor([list(prompt)], device=model.device)
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False,
        temperature=None, top_p=None, top_k=None, repetition_penalty=1.0, use_cache=True,
        eos_token_id=sorted(stops), pad_token_id=sorted(stops)[0],
    )  # fmt: skip
    answer = [int(token) for token in out[0, len(prompt) :]]
    return answer[:-1] if answer and answer[-1] in stops else answer


def share_equal(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Share of equal pairs; 1 for none."""
    pairs = list(zip(found, wanted, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0


def release_memory() -> None:
    """Give back what a closed model held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
