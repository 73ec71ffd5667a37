"""Whether what is shipped answers like the live adapter."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

MAX_MEAN_KL = 0.1  # a merge into the 16-bit base differs from the 4-bit base it was trained on


@torch.no_grad()
def compare_models(live: Any, shipped: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Distance of two models over the answer tokens of ``rows``.

    Args:
        live: The 4-bit base with its adapter.
        shipped: The exported model.
        rows: ``input_ids`` and ``labels``.

    Returns:
        ``mean_kl`` in nats a token, ``loss_difference`` and the share of ``same_token``.
    """
    divergence, difference, same, tokens = 0.0, 0.0, 0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"]])
        labels = torch.tensor(row["labels"][1:])
        trained = labels >= 0
        p = live(input_ids=ids.to(live.device)).logits[0, :-1].float().cpu()[trained].log_softmax(-1)
        q = shipped(input_ids=ids.to(shipped.device)).logits[0, :-1].float().cpu()[trained].log_softmax(-1)
        target = labels[trained][:, None]
        divergence += float((p.exp() * (p - q)).sum())
        difference += float((p.gather(1, target) - q.gather(1, target)).sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        tokens += int(trained.sum())
    count = max(tokens, 1)
    return {"mean_kl": divergence / count, "loss_difference": difference / count, "same_token": same / count}
