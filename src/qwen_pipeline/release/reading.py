"""What a model says on held-out answers, kept small, so that two models need not be in memory together.

Shape suffixes: T trained tokens, D hidden size, V vocabulary. A reading keeps hidden states (D numbers a token)
and the head; logits (V numbers a token) exist only for a chunk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from qwen_pipeline.text.progress import with_progress

HEAD_ROWS = 1 << 14  # of the head that are widened to float32 at once
CHUNK_TOKENS = 64  # of a 150,000-token vocabulary: 80 MB for each array of float64


class Reading(Protocol):
    """A model's predictions of the trained tokens."""

    def logits(self, start: int, stop: int) -> torch.Tensor:
        """Logits of tokens ``start`` to ``stop``, float32, ``[tokens, V]``."""
        ...

    def __len__(self) -> int:
        """How many tokens there are."""
        ...


@dataclass(frozen=True)
class HiddenReading:
    """Predictions as hidden states ``[T, D]`` and the head ``[V, D]`` that reads them."""

    hidden: torch.Tensor
    head: torch.Tensor

    def logits(self, start: int, stop: int) -> torch.Tensor:
        """Logits of some tokens."""
        hidden_TD = self.hidden[start:stop].float()
        return torch.cat([hidden_TD @ part.float().T for part in torch.split(self.head, HEAD_ROWS)], dim=1)

    def __len__(self) -> int:
        return self.hidden.shape[0]


@dataclass(frozen=True)
class LogitReading:
    """Predictions of a client that gives logits only, ``[T, V]``."""

    answers: torch.Tensor

    def logits(self, start: int, stop: int) -> torch.Tensor:
        """Logits of some tokens."""
        return self.answers[start:stop].float()

    def __len__(self) -> int:
        return self.answers.shape[0]


@dataclass(frozen=True)
class Distance:
    """How far a model is from the live one.

    Attributes:
        mean_kl: Kullback-Leibler divergence from the live model, nats a token.
        loss: The model's own loss on the tokens.
        loss_difference: Its loss minus the live model's.
        max_logit_difference: Largest difference of a logit.
        same_token: Share of the tokens where both would choose the same.
    """

    mean_kl: float
    loss: float
    loss_difference: float
    max_logit_difference: float
    same_token: float


@torch.no_grad()
def compact_head(head: torch.Tensor) -> torch.Tensor:
    """A head as a reading keeps it, on the host: in bfloat16 where that loses nothing (of a real vocabulary it is 1.5 GB in float32)."""
    head = head.detach().cpu()
    parts = torch.split(head, HEAD_ROWS)
    return (
        head.bfloat16() if all(torch.equal(part.bfloat16().float(), part.float()) for part in parts) else head
    )


@torch.no_grad()
def read_model(model: Any, rows: Sequence[Mapping[str, Any]]) -> HiddenReading:
    """Read the rows with a causal model of transformers, adapted or not, as it stands.

    The model is not put into evaluation mode (see ``load_quantized_model``).

    Args:
        model: On any device.
        rows: ``input_ids`` and ``labels``.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = []
    for row in with_progress(rows, len(rows), "Reading held-out rows"):
        ids = torch.tensor([row["input_ids"]], device=inner.device)
        mask = causal_mask(ids.shape[1], ids.device)
        states = inner.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[0, :-1]
        hidden.append(states[trained_positions(row).to(states.device)].float().cpu())
    return HiddenReading(torch.cat(hidden), compact_head(inner.get_output_embeddings().weight))


def causal_mask(tokens: int, device: torch.device) -> torch.Tensor:
    """What each token sees, ``[1, 1, tokens, tokens]`` bool, for transformers' own attention of one row in float32.

    Without a mask it leaves grouped heads to PyTorch, which on a card has no kernel for them in float32: scores of all heads would
    live, 8.6 GB for a row of 8,192 tokens of Qwen3-4B. With one it repeats the heads, and they do not. Source:
    ``transformers.integrations.sdpa_attention.use_gqa_in_sdpa``; PyTorch 2.13, sdp_utils.cpp.

    Args:
        tokens: Of the row.
        device: Where it is read.
    """
    return torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril()[None, None]


def trained_positions(row: Mapping[str, Any]) -> torch.Tensor:
    """Which positions predict a trained token, ``[tokens - 1]``."""
    return torch.tensor(row["labels"][1:]) >= 0


def targets_of(rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
    """The trained tokens of all rows, in the order of a reading, ``[T]``."""
    return torch.tensor([label for row in rows for label in row["labels"][1:] if label >= 0])


def distance(live: Reading, other: Reading, targets_T: torch.Tensor) -> Distance:
    """Compare two readings of the same tokens.

    Args:
        live: The adapter on the 4-bit base it was trained on.
        other: What is shipped.
        targets_T: The trained tokens.
    """
    kl = loss = difference = worst = 0.0
    same, count = 0, len(targets_T)
    for start in range(0, count, CHUNK_TOKENS):
        stop = min(start + CHUNK_TOKENS, count)
        wanted = targets_T[start:stop, None]
        raw_p, raw_q = live.logits(start, stop).double(), other.logits(start, stop).double()
        p, q = raw_p.log_softmax(-1), raw_q.log_softmax(-1)
        kl += float((p.exp() * (p - q)).sum())
        loss -= float(q.gather(1, wanted).sum())
        difference += float((p.gather(1, wanted) - q.gather(1, wanted)).sum())
        worst = max(worst, float((raw_p - raw_q).abs().max()))
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
    tokens = max(count, 1)
    return Distance(kl / tokens, loss / tokens, difference / tokens, worst, same / tokens)
