"""Loss on held-out answers, without ever holding the logits."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from qwen_pipeline.memory.chunked_loss import score_tokens


@torch.no_grad()
def likelihood(model: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Token-weighted loss, perplexity and token accuracy, one row at a time.

    Args:
        model: A causal model of transformers, with or without adapters.
        rows: ``input_ids`` and ``labels``.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    loss, right, tokens = 0.0, 0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"]], device=inner.device)
        targets = torch.tensor([*row["labels"][1:], -100], device=inner.device)
        hidden = inner.model(input_ids=ids, use_cache=False).last_hidden_state[0]
        scores = score_tokens(hidden, inner.get_output_embeddings().weight, targets)
        loss += float(scores.loss.sum())
        right += int(scores.correct.sum())
        tokens += scores.loss.numel()
    mean = loss / max(tokens, 1)
    return {"loss": mean, "perplexity": math.exp(min(mean, 50)), "token_accuracy": right / max(tokens, 1)}
