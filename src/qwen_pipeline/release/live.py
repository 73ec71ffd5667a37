"""The live adapter's side of every comparison: its prompts, predictions and greedy answers, taken once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import end_of_turn, prompt_ids
from qwen_pipeline.evaluation.generation import PREFILL_TOKENS
from qwen_pipeline.memory.fake_model import build_fake_model, count_model_bytes
from qwen_pipeline.memory.place import place_for
from qwen_pipeline.memory.recovery import release_memory
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import load_adapter
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release.reading import Reading, read_model, targets_of
from qwen_pipeline.text.progress import with_progress

ANSWERED_ROWS, ANSWER_TOKENS = 8, 48

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LiveAnswers:
    """What exports are held against.

    Attributes:
        rows: Held-out rows.
        conversations: The conversation of each row up to the question.
        prompts: The ids that the trained tokenizer makes of the conversations.
        as_trained: Share of the rows that begin with these ids; the others were shortened to fit.
        targets: The trained tokens of the rows.
        reading: The live adapter's predictions of them.
        answers: Its greedy answers to the first rows.
        stops: Tokens that end an answer.
        device: Where it was read: the card, or the host where float32 products do not fit under the cap.
    """

    rows: Sequence[Row]
    conversations: Sequence[Sequence[Message]]
    prompts: Sequence[list[int]]
    as_trained: float
    targets: torch.Tensor
    reading: Reading
    answers: Sequence[list[int]]
    stops: frozenset[int]
    device: torch.device

    @property
    def asked(self) -> Sequence[list[int]]:
        """The prompts that are answered greedily."""
        return self.prompts[:ANSWERED_ROWS]


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

    Args:
        source: The base model.
        adapter: The adapter's folder.
        tokenizer: The base model's, the same as the trained one.
        rows: Held-out rows.
        conversations: For each row its whole conversation, answers included.
        device: Where the run computes; the model is loaded there if it fits.
    """
    config = AutoConfig.from_pretrained(str(source.directory()))
    shapes = build_fake_model(
        config,
        mode=FakeTensorMode(allow_non_fake_inputs=True),
        attach_adapters=lambda base: base,
        compute_dtype=torch.float32,
    )
    needed = count_model_bytes(shapes).total
    device = place_for(needed, device, "The live adapter in float32") or device
    base = load_quantized_model(source, compute_dtype=torch.float32, device=device)
    model = load_adapter(base, adapter)
    stops = frozenset({int(tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)))})
    asked = [_up_to_question(tokenizer, row, turns) for row, turns in zip(rows, conversations, strict=True)]
    prompts = [prompt_ids(tokenizer, turns) for turns in asked]
    answers = LiveAnswers(
        rows=rows,
        conversations=asked,
        prompts=prompts,
        as_trained=sum(map(_begins_with, rows, prompts)) / len(rows),
        targets=targets_of(rows),
        reading=read_model(model, rows),
        answers=answers_to(model, prompts[:ANSWERED_ROWS], stops),
        stops=stops,
        device=device,
    )
    del model, base
    release_memory()
    return answers


def _up_to_question(tokenizer: Tokenizer, row: Row, turns: Sequence[Message]) -> Sequence[Message]:
    """The part of a conversation that the row's answer answers; all but the end where the row was shortened."""
    ends = [number for number, turn in enumerate(turns) if turn["role"] == "assistant"]
    fitting = [turns[:end] for end in ends if _begins_with(row, prompt_ids(tokenizer, turns[:end]))]
    return fitting[-1] if fitting else turns[: ends[-1]]


def _begins_with(row: Row, prompt: list[int]) -> bool:
    return list(row["input_ids"][: len(prompt)]) == prompt


def answers_to(model: Any, prompts: Sequence[Sequence[int]], stops: frozenset[int]) -> list[list[int]]:
    """Of each prompt what `answer_greedily` gives."""
    asked = with_progress(prompts, len(prompts), "Answering questions")
    return [answer_greedily(model, prompt, stops) for prompt in asked]


@torch.no_grad()
def answer_greedily(model: Any, prompt: Sequence[int], stops: frozenset[int]) -> list[int]:
    """The likeliest token each time, without the token that ended the answer."""
    ids = torch.tensor([list(prompt)], device=model.device)
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False,
        temperature=None, top_p=None, top_k=None, repetition_penalty=1.0, use_cache=True,
        prefill_chunk_size=PREFILL_TOKENS,
        eos_token_id=sorted(stops), pad_token_id=sorted(stops)[0],
    )  # fmt: skip
    answer = [int(token) for token in out[0, len(prompt) :]]
    return answer[:-1] if answer and answer[-1] in stops else answer


def share_equal(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Share of equal pairs; 1 for none."""
    pairs = list(zip(found, wanted, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0
