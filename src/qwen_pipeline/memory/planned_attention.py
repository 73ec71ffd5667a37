"""Attention that takes the memory of the varlen kernel on CUDA, for tracing without CUDA.

The fallback that runs on a CPU builds masks that the kernel does not, so a plan for a GPU must not trace it.
This stand-in computes nothing: it allocates what FlashAttention 2 allocates and keeps what it keeps.
Source: FlashAttention 2, csrc/flash_attn/flash_api.cpp, `mha_varlen_fwd` and `mha_varlen_bwd`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PLANNED_ATTENTION = "planned_varlen"
PLANNED_REPEATED = "planned_repeated_heads"
_BLOCK = 128  # Tokens by which the kernel pads its float32 accumulators, for each row.


def register_planned_attention(repeats_heads: bool = False) -> str:
    """Make the stand-in known to transformers; returns its name for ``_attn_implementation``.

    Args:
        repeats_heads: Plan the memory-efficient kernel of cards without the varlen one, which wants the key and value heads repeated.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(PLANNED_ATTENTION, planned_attention)
    ALL_ATTENTION_FUNCTIONS.register(PLANNED_REPEATED, _planned_repeated)
    return PLANNED_REPEATED if repeats_heads else PLANNED_ATTENTION


def _planned_repeated(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **kwargs: Any
) -> tuple[Tensor, None]:
    key, value = (t.repeat_interleave(query.shape[1] // t.shape[1], dim=1) for t in (key, value))
    out, weights = planned_attention(module, query, key, value, attention_mask, **kwargs)
    return out.clone(), weights  # the rows joined; the kernel keeps its own output of each for backward


def planned_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    row_lengths: tuple[int, ...] = (0,),
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Stand in for an attention function of transformers.

    Args:
        module: The attention layer, not used.
        query: ``[1, heads, T, head_dim]``.
        key: ``[1, kv_heads, T, head_dim]``.
        value: ``[1, kv_heads, T, head_dim]``.
        attention_mask: Not used.
        row_lengths: Tokens of each row.
        **kwargs: Scaling, dropout and whatever the caller's kernel needs; not used.

    Returns:
        The output ``[1, T, heads, head_dim]``, and no weights.
    """
    apply: Callable[..., Tensor] = _VarlenMemory.apply
    packed = (tensor.transpose(1, 2).squeeze(0) for tensor in (query, key, value))
    return apply(*packed, len(row_lengths)).unsqueeze(0), None


class _VarlenMemory(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, rows: int) -> Tensor:
        # The kernel reads strided heads; only the last dimension must be contiguous.
        out_THD = torch.empty(query_THD.shape, dtype=query_THD.dtype, device=query_THD.device)
        normaliser_HT = out_THD.new_empty(query_THD.shape[1], query_THD.shape[0], dtype=torch.float32)
        ctx.save_for_backward(query_THD, key_TKD, value_TKD, out_THD, normaliser_HT)
        ctx.rows = rows
        return out_THD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THD: Tensor) -> tuple[Tensor | None, ...]:
        query_THD, key_TKD, value_TKD, _out, _normaliser = ctx.saved_tensors
        tokens, heads, head_dim = query_THD.shape
        padded = tokens + _BLOCK * ctx.rows
        workspace = [
            grad_THD.new_empty(heads, padded, dtype=torch.float32),
            grad_THD.new_empty(padded, heads, head_dim, dtype=torch.float32),
        ]
        if key_TKD.shape[1] != heads:  # Grouped heads: gradients for each head first, then their sum.
            workspace += [grad_THD.new_empty(tokens, heads, head_dim) for _ in range(2)]
        gradients = tuple(
            torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (query_THD, key_TKD, value_TKD)
        )
        del workspace
        return *gradients, None
