"""Causal attention of one row on a CPU in 16 bits, with its gradient, from matrix products.

PyTorch's CPU kernel for 16 bits does not use the matrix units that plain products use; this does, and computes the
probabilities again in the backward pass instead of keeping them. Measured in benchmarks/LOG.md.

Shapes: L tokens, H query heads, K key and value heads, G = H / K queries a key, D head width; n queries of a block,
b keys that they may see.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_QUERIES = 256  # bounds the probabilities held at a time, and leaves out most of what the mask hides


def causal_row_attention(query_HLD: Tensor, key_KLD: Tensor, value_KLD: Tensor, scaling: float) -> Tensor:
    """Softmax attention in which each token sees itself and those before it.

    Args:
        query_HLD: Queries, H a multiple of K.
        key_KLD: Keys.
        value_KLD: Values.
        scaling: What the products are multiplied with.

    Returns:
        ``[H, L, D]`` in the queries' dtype; probabilities are computed in float32.
    """
    out: Tensor = _CausalRow.apply(query_HLD, key_KLD, value_KLD, scaling)  # type: ignore[no-untyped-call]
    return out


class _CausalRow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        tokens, width = query.shape[1:]
        query_KGLD = query.reshape(key.shape[0], -1, tokens, width)
        out_KGLD = torch.empty_like(query_KGLD)
        for start, stop in _blocks(tokens):
            probabilities = _probabilities(_block(query_KGLD, start, stop), key, start, stop, scaling)
            seen = probabilities.to(value.dtype) @ value[:, :stop]
            out_KGLD[:, :, start:stop] = seen.view(key.shape[0], -1, stop - start, width)
        ctx.save_for_backward(query, key, value, out_KGLD)
        ctx.scaling = scaling
        return out_KGLD.view(query.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out_KGLD = ctx.saved_tensors
        query_KGLD, grad_KGLD = query.reshape(out_KGLD.shape), grad_out.reshape(out_KGLD.shape)
        grad_query = torch.empty_like(query_KGLD)
        grad_key, grad_value = (torch.zeros_like(tensor, dtype=torch.float32) for tensor in (key, value))
        for start, stop in _blocks(key.shape[1]):
            queries, grads, outs = (_block(t, start, stop) for t in (query_KGLD, grad_KGLD, out_KGLD))
            probabilities = _probabilities(queries, key, start, stop, ctx.scaling)
            grad_value[:, :stop] += probabilities.to(value.dtype).transpose(1, 2) @ grads
            # The softmax's gradient: P * (dP - sum(dP * P)), and the sum is that of dO * O.
            shared = (grads.float() * outs).sum(-1, keepdim=True)
            inner = (grads @ value[:, :stop].transpose(1, 2)).float().sub_(shared).mul_(probabilities)
            inner = inner.mul_(ctx.scaling).to(key.dtype)
            grad_query[:, :, start:stop] = (inner @ key[:, :stop]).view_as(out_KGLD[:, :, start:stop])
            grad_key[:, :stop] += inner.transpose(1, 2) @ queries
        return grad_query.view(query.shape), grad_key.to(key.dtype), grad_value.to(value.dtype), None


def _blocks(tokens: int) -> Iterator[tuple[int, int]]:
    for start in range(0, tokens, BLOCK_QUERIES):
        yield start, min(start + BLOCK_QUERIES, tokens)


def _block(tensor_KGLD: Tensor, start: int, stop: int) -> Tensor:
    """``[K, G * n, D]``: the queries of all heads that share a key, one under the other."""
    return tensor_KGLD[:, :, start:stop].flatten(1, 2)


def _probabilities(queries: Tensor, key: Tensor, start: int, stop: int, scaling: float) -> Tensor:
    """``[K, G * n, b]`` float32."""
    scores = (queries @ key[:, :stop].transpose(1, 2)).float().mul_(scaling)
    count = stop - start
    hidden = torch.ones(count, count, dtype=torch.bool, device=key.device).triu_(1)
    scores.view(key.shape[0], -1, count, stop)[..., start:].masked_fill_(hidden, float("-inf"))
    return scores.softmax(-1)
