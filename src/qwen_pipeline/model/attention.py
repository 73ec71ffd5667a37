"""Attention that never crosses from one packed row into the next.

On CUDA with 16-bit products PyTorch's variable-length kernel does it in one call; elsewhere each row goes through
the ordinary causal attention by itself, which is exact and never builds a mask of tokens times tokens.

Shapes: T tokens of all rows together, H query heads, K key and value heads, D head width.
"""

import inspect
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from qwen_pipeline.model.causal_row import causal_row_attention

PACKED_ATTENTION = "packed"
# On a CPU in 16 bits, rows up to this length go fastest through PyTorch's kernel in float32, longer ones through
# matrix products: see benchmarks/LOG.md.
SHORT_ROW_TOKENS = 64
# Those are filled up to a multiple of this, at the end, where no token looks: kernels are built and kept by shape.
ROW_MULTIPLE = 32


def register_packed_attention() -> str:
    """Make the attention known to transformers; returns its name for ``attn_implementation``."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(PACKED_ATTENTION, packed_attention)
    return PACKED_ATTENTION


def has_varlen_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether PyTorch's variable-length kernel runs here: FlashAttention wants 16 bits and Ampere or newer."""
    if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16):
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    row_lengths: tuple[int, ...],
    cu_seqlens: Tensor,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """An attention function of transformers for rows that lie end to end.

    Args:
        module: The attention layer, not used.
        query: ``[1, H, T, D]``.
        key: ``[1, K, T, D]``.
        value: ``[1, K, T, D]``.
        attention_mask: Not used: the rows' lengths say it all.
        row_lengths: Tokens of each row.
        cu_seqlens: ``[rows + 1]`` int32, where each row starts, and T.
        scaling: What the products are multiplied with.
        **kwargs: What other attention functions need; not used.

    Returns:
        The output ``[1, T, H, D]``, and no weights.
    """
    if has_varlen_kernel(query.device, query.dtype):
        out_THD = _varlen(query, key, value, cu_seqlens, max(row_lengths), scaling)
        return out_THD.unsqueeze(0), None
    return _row_by_row(query, key, value, row_lengths, scaling), None


def _row_by_row(
    query: Tensor, key: Tensor, value: Tensor, row_lengths: tuple[int, ...], scaling: float | None
) -> Tensor:
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    queries, keys, values = (torch.split(t, list(row_lengths), dim=2) for t in (query, key, value))
    rows = zip(queries, keys, values, strict=True)
    # Kernels lay their output out as [1, T, H, D]: joined in that order it is copied once, and not again for the output projection.
    return torch.cat([_one_row(q, k, v, scaling).transpose(1, 2) for q, k, v in rows], dim=1)


def _one_row(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    if query.device.type == "cpu" and query.dtype != torch.float32:
        if (tokens := query.shape[2]) > SHORT_ROW_TOKENS:
            q, k, v = (pad(tensor[0], (0, 0, 0, -tokens % ROW_MULTIPLE)) for tensor in (query, key, value))
            return causal_row_attention(q, k, v, scaling)[None, :, :tokens]
        return _kernel(query.float(), key.float(), value.float(), scaling).to(query.dtype)
    return _kernel(query, key, value, scaling)


def _kernel(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    # there only FlashAttention takes grouped heads; else tokens times tokens would live
    if query.device.type == "cuda":
        key, value = (t.repeat_interleave(query.shape[1] // t.shape[1], dim=1) for t in (key, value))
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)


def _varlen(
    query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, longest: int, scaling: float | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    query_THD, key_TKD, value_TKD = (tensor.transpose(1, 2).squeeze(0) for tensor in (query, key, value))
    options: dict[str, Any] = {"scale": scaling, "window_size": (-1, 0)} | (
        {"enable_gqa": True} if _wants_grouped(varlen_attn) else {}
    )
    out = varlen_attn(query_THD, key_TKD, value_TKD, cu_seqlens, cu_seqlens, longest, longest, **options)
    return cast(Tensor, out)


@cache
def _wants_grouped(varlen_attn: Any) -> bool:
    """Whether the kernel must be told of grouped heads; else it takes them as they are."""
    return "enable_gqa" in inspect.signature(varlen_attn).parameters


def packed_hidden_states(
    model: Any, input_ids: Tensor, position_ids: Tensor, cu_seqlens: Tensor, row_lengths: tuple[int, ...]
) -> Tensor:
    """Hidden states before the head of rows that lie end to end.

    Args:
        model: A causal model of transformers loaded with this attention; inside a PEFT model, its base.
        input_ids: ``[1, T]``.
        position_ids: ``[1, T]``, restarting at each row.
        cu_seqlens: ``[rows + 1]`` int32.
        row_lengths: Tokens of each row.

    Returns:
        ``[T, width]``.
    """
    hidden: Tensor = model.model(
        input_ids=input_ids,
        position_ids=position_ids,
        use_cache=False,
        row_lengths=row_lengths,
        cu_seqlens=cu_seqlens,
    ).last_hidden_state[0]
    return hidden
