"""Loss on held-out answers: packed as in training, and without ever holding the logits."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from qwen_pipeline.chat import IGNORE_INDEX
from qwen_pipeline.chat.packing import Row, halves, pack, split_rows
from qwen_pipeline.memory.chunked_loss import score_tokens
from qwen_pipeline.memory.recovery import run_or_split
from qwen_pipeline.model.attention import packed_hidden_states
from qwen_pipeline.model.device import autocast
from qwen_pipeline.model.dropout import without_dropout
from qwen_pipeline.text.progress import with_progress

MICRO_BATCH_TOKENS = 4096
LENGTH_BANDS = ((64, "1-64"), (256, "65-256"), (1024, "257-1024"))


@dataclass(frozen=True)
class RowScore:
    """What the model makes of one row's answer.

    Attributes:
        example_id: The row.
        loss: Summed over the answer's tokens, nats.
        correct: Tokens that are the likeliest.
        tokens: Tokens of the answer.
        characters: Characters of the answer.
    """

    example_id: str
    loss: float
    correct: int
    tokens: int
    characters: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @property
    def length_band(self) -> str:
        """The answer's length in tokens, as a range."""
        return next((name for limit, name in LENGTH_BANDS if self.tokens <= limit), "1025-")


@torch.no_grad()
def score_rows(
    model: Any, tokenizer: Any, rows: Sequence[Row], max_tokens: int = MICRO_BATCH_TOKENS
) -> list[RowScore]:
    """Score every row.

    Args:
        model: A causal model, with or without adapters, loaded with the packed attention; in train mode.
        tokenizer: Decodes the answers, to count their characters.
        rows: ``input_ids``, ``labels`` and ``example_id``.
        max_tokens: Tokens that go through the model at a time; a micro-batch that does not fit is split.

    Returns:
        The scores, in the order of the rows.
    """
    scores: list[RowScore] = []
    with without_dropout(model):
        parts = list(split_rows(rows, max_rows=len(rows), max_tokens=max_tokens))
        for part in with_progress(parts, len(parts), "Scoring held-out rows"):
            for piece in run_or_split(part, run=lambda rows: _score(model, rows), split=halves):
                scores += piece
    return [_with_characters(score, tokenizer, row) for score, row in zip(scores, rows, strict=True)]


def _score(model: Any, rows: list[Row]) -> list[RowScore]:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = inner.get_output_embeddings().weight
    batch = pack(rows, head.device)
    with autocast(head.device, head.dtype):
        hidden_TD = packed_hidden_states(
            inner, batch.input_ids, batch.position_ids, batch.cu_seqlens, batch.row_lengths
        )
        scores = score_tokens(hidden_TD, head, batch.targets, labelled_rows_N=batch.labelled_rows)
    sums = (figures.tolist() for figures in scores.sum_by_example(batch.cu_seqlens[: len(rows) + 1]))
    return [
        RowScore(str(row["example_id"]), loss, correct, tokens, 0)
        for row, loss, correct, tokens in zip(rows, *sums, strict=True)
    ]


def _with_characters(score: RowScore, tokenizer: Any, row: Row) -> RowScore:
    trained = [label for label in row["labels"] if label != IGNORE_INDEX]
    text = tokenizer.decode(trained, skip_special_tokens=True)
    return RowScore(score.example_id, score.loss, score.correct, score.tokens, len(text))


def summarise_scores(scores: Sequence[RowScore]) -> dict[str, float]:
    """Figures over rows, weighted by their tokens.

    Returns:
        ``loss`` (nats a token), ``perplexity``, ``bits_per_character`` (comparable between languages and
        tokenizers) and ``token_accuracy``; nothing where there are no rows.
    """
    if not scores:
        return {}
    loss, tokens = sum(s.loss for s in scores), max(sum(s.tokens for s in scores), 1)
    characters = max(sum(s.characters for s in scores), 1)
    return {
        "loss": loss / tokens,
        "perplexity": math.exp(min(loss / tokens, 50.0)),
        "bits_per_character": loss / math.log(2) / characters,
        "token_accuracy": sum(s.correct for s in scores) / tokens,
    }
