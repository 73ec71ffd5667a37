"""Cross entropy against a frozen head without ever holding the logits.

At a vocabulary of 151,936 the float32 logits of one token take 0.6 MB, and a plain path keeps three or
four copies of them. The head is frozen here, so three things make them go away: only rows that carry a
label meet the head, they do so in chunks, and each chunk's gradient with respect to the hidden states is
taken at once, in the forward pass, so that nothing of vocabulary width outlives its chunk.

Shapes: T tokens of the micro-batch, N rows of them with a label, C rows of a chunk, D hidden size,
V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake
from torch.autograd.function import once_differentiable

from qwen_pipeline.kernels import fused
from qwen_pipeline.kernels.fused import device_type_of, kernels_run
from qwen_pipeline.memory.softmax_so_far import SoftmaxSoFar

IGNORE_INDEX = -100  # a label that is not trained. Source: torch.nn.functional.cross_entropy
# Logits of one chunk, were they float32. Fewer rows re-read the head too often, more only cost memory: see
# benchmarks/bench_loss.py and docs/memory.md.
CHUNK_BYTES = 160 * 2**20
# Tokens of a block: few enough for a processor's cache, many enough for a card to be busy.
BLOCK_TOKENS = {"cpu": 8192, "cuda": 32768}


@dataclass(frozen=True)
class TokenScores:
    """What the head says about each labelled token, in the order of the tokens, ``[N]`` each.

    Attributes:
        rows: Positions in the micro-batch, int64.
        loss: Negative log-likelihood of the label, float32, nats.
        correct: Whether the label is the most likely token, bool.
    """

    rows: Tensor
    loss: Tensor
    correct: Tensor

    def sum_by_example(self, cu_seqlens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Add up losses, hits and labelled tokens per example.

        Args:
            cu_seqlens: Offsets of the examples in the micro-batch, ``[examples + 1]``, starting at 0.

        Returns:
            Three tensors ``[examples]``: summed loss (float64), tokens right (int64), tokens (int64).
        """
        examples = cu_seqlens.numel() - 1
        owner_N = torch.bucketize(self.rows, cu_seqlens[1:].to(self.rows), right=True)
        loss = torch.zeros(examples, dtype=torch.float64, device=owner_N.device)
        right = torch.zeros(examples, dtype=torch.int64, device=owner_N.device)
        return (
            loss.index_add_(0, owner_N, self.loss.double()),
            right.index_add_(0, owner_N, self.correct.long()),
            torch.bincount(owner_N, minlength=examples),
        )


def linear_cross_entropy(
    hidden_TD: Tensor,
    head_VD: Tensor,
    labels_T: Tensor,
    *,
    chunk_tokens: int | None = None,
    labelled_rows_N: Tensor | None = None,
) -> Tensor:
    """Sum of the cross entropy of all labelled rows, with its gradient for the hidden states.

    Args:
        hidden_TD: Last hidden states ``[T, D]``; row t must predict ``labels_T[t]`` (shift beforehand).
        head_VD: The frozen output embedding ``[V, D]``, no bias. The product is taken in its dtype.
        labels_T: Token ids ``[T]`` int64 on the same device; -100 where there is no label.
        chunk_tokens: Rows that meet the head at a time; by default what fits ``CHUNK_BYTES``.
        labelled_rows_N: Positions of the labelled rows, if the caller knows them: finding them on a GPU
            makes the host wait for it.

    Returns:
        A float32 scalar, zero (with a zero gradient) when no row has a label.

    Raises:
        ValueError: The head asks for a gradient, or the shapes do not agree.
    """
    _check_shapes(hidden_TD, head_VD, labels_T)
    rows_N = _rows(labels_T, labelled_rows_N)
    apply: Callable[..., Tensor] = _LinearCrossEntropy.apply
    return apply(hidden_TD, head_VD, labels_T, rows_N, chunk_tokens)


@torch.no_grad()
def score_tokens(
    hidden_TD: Tensor,
    head_VD: Tensor,
    labels_T: Tensor,
    *,
    chunk_tokens: int | None = None,
    labelled_rows_N: Tensor | None = None,
) -> TokenScores:
    """Loss and hit of every labelled token, for evaluation; takes what `linear_cross_entropy` takes."""
    _check_shapes(hidden_TD, head_VD, labels_T)
    rows_N = _rows(labels_T, labelled_rows_N)
    loss_N = torch.empty(rows_N.numel(), dtype=torch.float32, device=hidden_TD.device)
    correct_N = torch.empty(rows_N.numel(), dtype=torch.bool, device=hidden_TD.device)
    blocks = _blocks(head_VD)
    for part, hidden_CD, labels_C in _chunks(hidden_TD, head_VD, labels_T, rows_N, chunk_tokens):
        seen = SoftmaxSoFar(labels_C, wants_best=True)
        for head_BD in blocks:
            seen.add(hidden_CD @ head_BD.t())
        loss_N[part] = seen.loss()
        correct_N[part] = seen.best_C1.squeeze(1) == labels_C
    return TokenScores(rows_N, loss_N, correct_N)


def default_chunk_tokens(head_VD: Tensor) -> int:
    """Rows a chunk may have so that its float32 logits stay within ``CHUNK_BYTES``: 64 to 4,096."""
    return max(64, min(4096, CHUNK_BYTES // (4 * head_VD.shape[0]) // 32 * 32))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor, rows_N: Tensor, chunk: int | None
    ) -> Tensor:
        wants_gradient, blocks = ctx.needs_input_grad[0], _blocks(head_VD)
        loss = torch.zeros((), dtype=torch.float32, device=hidden_TD.device)
        grad_ND = hidden_TD.new_empty(rows_N.numel() if wants_gradient else 0, hidden_TD.shape[1])
        for part, hidden_CD, labels_C in _chunks(hidden_TD, head_VD, labels_T, rows_N, chunk):
            if wants_gradient and kernels_run(hidden_CD):
                logits_CV = hidden_CD @ head_VD.t()
                loss += fused.softmax_loss(logits_CV, labels_C).sum()
                grad_ND[part] = logits_CV @ head_VD
                del logits_CV  # before the next chunk's are made
                continue
            seen, logits = SoftmaxSoFar(labels_C), list[Tensor]()
            for head_BD in blocks:
                logits_CB = hidden_CD @ head_BD.t()
                seen.add(logits_CB)
                if wants_gradient:
                    logits.append(logits_CB)
            loss += seen.loss().sum()
            if wants_gradient:
                grad_ND[part] = seen.gradient(logits, blocks)
        ctx.save_for_backward(grad_ND, rows_N)
        ctx.tokens = hidden_TD.shape[0]
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        grad_ND, rows_N = ctx.saved_tensors
        grad_TD = grad_ND.new_zeros(ctx.tokens, grad_ND.shape[1])
        # The scale is multiplied in float32: a loss scale of 65,536 does not exist in float16, and a
        # bfloat16 scale would be off by up to 0.4 %.
        grad_TD.index_copy_(0, rows_N, (grad_ND.float() * grad_loss).to(grad_ND.dtype))
        return grad_TD, None, None, None, None


def _chunks(
    hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor, rows_N: Tensor, chunk: int | None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Place among the labelled rows, hidden states ``[C, D]`` in the head's dtype and labels ``[C]`` of each chunk."""
    size = chunk or default_chunk_tokens(head_VD)
    starts = range(0, rows_N.numel(), size)
    for start in starts[:1] if is_fake(hidden_TD) else starts:  # in a memory plan one chunk stands for all
        part = slice(start, start + size)
        rows_C = rows_N[part]
        yield part, hidden_TD.index_select(0, rows_C).to(head_VD.dtype), labels_T.index_select(0, rows_C)


def _blocks(head_VD: Tensor) -> tuple[Tensor, ...]:
    return torch.split(head_VD, BLOCK_TOKENS.get(device_type_of(head_VD), BLOCK_TOKENS["cuda"]))


def _rows(labels_T: Tensor, known_N: Tensor | None) -> Tensor:
    if known_N is not None:
        return known_N
    return (labels_T != IGNORE_INDEX).nonzero().squeeze(1)


def _check_shapes(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> None:
    if head_VD.requires_grad and torch.is_grad_enabled():
        raise ValueError("the head must be frozen: its gradient is never computed")
    if (
        hidden_TD.dim() != 2
        or labels_T.shape != hidden_TD.shape[:1]
        or head_VD.shape[1:] != hidden_TD.shape[1:]
    ):
        raise ValueError(
            f"hidden {tuple(hidden_TD.shape)}, head {tuple(head_VD.shape)} and labels "
            f"{tuple(labels_T.shape)} do not agree; wanted [T, D], [V, D] and [T]"
        )
