"""Qwen3's attention layer with its projections in one operation, and norm and rotation in one kernel where the device has it.

Shapes: B batches, T tokens, D head width.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen3.modeling_qwen3 import eager_attention_forward

from qwen_pipeline.kernels import fused
from qwen_pipeline.model.fused_lora import Norm, project_together


class LeanAttention(nn.Module):
    """transformers' `Qwen3Attention` under the same names.

    Attributes:
        q_proj, k_proj, v_proj, o_proj: The projections.
        q_norm, k_norm: Norms of the heads.
        norm_before: A norm that is left to this layer, in a list so that it is registered in one place alone.
    """

    def __init__(self, source: Any) -> None:
        """Take over what an attention layer of transformers holds."""
        super().__init__()
        self.q_proj: nn.Module = source.q_proj
        self.k_proj: nn.Module = source.k_proj
        self.v_proj: nn.Module = source.v_proj
        self.o_proj: nn.Module = source.o_proj
        self.q_norm: Any = source.q_norm
        self.k_norm: Any = source.k_norm
        self.config, self.layer_idx, self.head_dim = source.config, source.layer_idx, source.head_dim
        self.scaling, self.sliding_window = source.scaling, source.sliding_window
        # Read by transformers' own attention functions.
        self.num_key_value_groups, self.is_causal = source.num_key_value_groups, source.is_causal
        self.attention_dropout = source.attention_dropout
        self.norm_before: list[Norm | None] = [None]

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """As transformers' layer: ``[B, T, width]`` to the same shape, and the weights if there are any.

        Args:
            hidden_states: The layer's input, before its norm where that is left to this layer.
            position_embeddings: Cosines and sines, ``[B or 1, T, D]`` each.
            attention_mask: For the attention function.
            past_key_values: transformers' cache, filled while it generates.
            **kwargs: For the attention function.
        """
        shape = hidden_states.shape[:-1]
        projections = [self.q_proj, self.k_proj, self.v_proj]
        outputs = project_together(projections, hidden_states, norm=self.norm_before[0])
        query, key, value = (out.view(*shape, -1, self.head_dim) for out in outputs)
        query = _normed_and_turned(query, self.q_norm, position_embeddings)
        key = _normed_and_turned(key, self.k_norm, position_embeddings)
        query, key, value = (heads.transpose(1, 2) for heads in (query, key, value))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        out, weights = attend(
            self, query, key, value, attention_mask, dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling, sliding_window=self.sliding_window, **kwargs,
        )  # fmt: skip
        return self.o_proj(out.reshape(*shape, -1).contiguous()), weights


def _normed_and_turned(x: Tensor, norm: Norm, rotation: tuple[Tensor, Tensor]) -> Tensor:
    return cast(Tensor, _NormAndTurn.apply(x, norm.weight, norm.eps, *rotation))  # type: ignore[no-untyped-call]


class _NormAndTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float, cos: Tensor, sin: Tensor) -> Tensor:
        out, inverse = fused.norm_and_turn(x, weight_D, eps, (cos, sin))
        ctx.save_for_backward(x, weight_D, inverse, cos, sin)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_D, inverse, cos, sin = ctx.saved_tensors
        grad = fused.norm_and_turn_backward(grad_out, x, weight_D, inverse, (cos, sin))
        return grad, None, None, None, None
