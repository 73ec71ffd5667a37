"""Norms and feed-forward layers that keep only what their backward cannot compute again.

transformers' RMSNorm leaves two float32 copies of its input behind, its feed-forward layer the gate, the opened gate, the other half
and their product. Here a norm keeps its input and one number a row, a feed-forward layer the two halves as they come out of their
projections. Values are transformers' own to the bit; gradients follow from the same formulas.

Sources: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"; Shazeer 2020, "GLU Variants Improve Transformer".
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, apply_rotary_pos_emb, eager_attention_forward

from qwen_pipeline.kernels import fused
from qwen_pipeline.kernels.fused import kernels_run
from qwen_pipeline.model.fused_lora import FusedLora4bit

# Qwen3, Qwen2 and Llama write the same formulas under three names.
_NORMS = ("Qwen3RMSNorm", "Qwen2RMSNorm", "LlamaRMSNorm")
_FEED_FORWARDS = ("Qwen3MLP", "Qwen2MLP", "LlamaMLP")
_SILU = ("SiLUActivation", "SiLU")


class LeanRMSNorm(nn.Module):
    """A frozen RMSNorm: ``x / rms(x) * weight`` over the last dimension."""

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        """Take over a norm's weight, ``[D]``, and its epsilon."""
        super().__init__()
        self.weight, self.eps = weight, eps

    def forward(self, x: Tensor) -> Tensor:
        """Norm ``[..., D]``; computed in float32."""
        return cast(Tensor, _RMSNorm.apply(x, self.weight, self.eps))  # type: ignore[no-untyped-call]


class LeanFeedForward(nn.Module):
    """``down(silu(gate(x)) * up(x))``; where ``down`` is a fused 4-bit layer the product is not kept."""

    def __init__(self, gate_proj: nn.Module, up_proj: nn.Module, down_proj: nn.Module) -> None:
        """Take over the three projections under their names."""
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate_proj, up_proj, down_proj

    def forward(self, x: Tensor) -> Tensor:
        """``[..., D]`` to ``[..., D]``."""
        gate, up, down = self.gate_proj(x), self.up_proj(x), self.down_proj
        if isinstance(down, FusedLora4bit):
            return down.forward_gated(gate, up)
        return cast(Tensor, down(nn.functional.silu(gate) * up))


def use_lean_layers(model: nn.Module) -> None:
    """Put these layers in the place of transformers' own, the same weights and names; other kinds stay as they are.

    Args:
        model: A frozen decoder, before adapters are attached to it.
    """
    for parent in reversed(list(model.modules())):  # an attention layer takes over norms that are replaced already
        for name, child in list(parent.named_children()):
            if type(child).__name__ in _NORMS:
                setattr(parent, name, LeanRMSNorm(child.weight, child.variance_epsilon))  # type: ignore[arg-type]
            elif type(child).__name__ in _FEED_FORWARDS and type(child.act_fn).__name__ in _SILU:
                setattr(parent, name, LeanFeedForward(child.gate_proj, child.up_proj, child.down_proj))  # type: ignore[arg-type]
            elif type(child) is Qwen3Attention:
                setattr(parent, name, LeanAttention(child))


class LeanAttention(nn.Module):
    """Qwen3's attention with norm and rotation of queries and keys in one kernel where the device has it."""

    def __init__(self, source: nn.Module) -> None:
        """Take over what an attention layer of transformers holds, the parts under their names."""
        super().__init__()
        for name, part in source.named_children():
            setattr(self, name, part)
        self.config, self.layer_idx, self.head_dim = source.config, source.layer_idx, source.head_dim
        self.scaling, self.sliding_window = source.scaling, source.sliding_window
        # Read by transformers' own attention functions.
        self.num_key_value_groups, self.is_causal = source.num_key_value_groups, source.is_causal
        self.attention_dropout = source.attention_dropout

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
            hidden_states: The layer's input.
            position_embeddings: Cosines and sines, ``[B or 1, T, head_dim]`` each.
            attention_mask: For the attention function.
            past_key_values: transformers' cache, filled while it generates.
            **kwargs: For the attention function.
        """
        shape = hidden_states.shape[:-1]
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (part(hidden_states).view(*shape, -1, self.head_dim) for part in projections)
        query, key = self._turn(query, key, position_embeddings)
        value = value.transpose(1, 2)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        out, weights = attend(
            self, query, key, value, attention_mask, dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling, sliding_window=self.sliding_window, **kwargs,
        )  # fmt: skip
        return self.o_proj(out.reshape(*shape, -1).contiguous()), weights

    def _turn(self, query: Tensor, key: Tensor, rotation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Queries and keys normed and turned to their positions, ``[B, heads, T, head_dim]``."""
        if kernels_run(query):
            query, key = (
                _NormAndTurn.apply(x, norm.weight, norm.eps, *rotation).transpose(1, 2)
                for x, norm in ((query, self.q_norm), (key, self.k_norm))
            )
            return query, key
        query, key = self.q_norm(query).transpose(1, 2), self.k_norm(key).transpose(1, 2)
        return cast(tuple[Tensor, Tensor], apply_rotary_pos_emb(query, key, *rotation))


class _NormAndTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float, cos: Tensor, sin: Tensor) -> Tensor:
        out, inverse = fused.norm(x, weight_D, eps, (cos, sin))
        ctx.save_for_backward(x, weight_D, inverse, cos, sin)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_D, inverse, cos, sin = ctx.saved_tensors
        return fused.norm_backward(grad_out, x, weight_D, inverse, (cos, sin)), None, None, None, None


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        if kernels_run(x):
            out, inverse = fused.norm(x, weight_D, eps)
            ctx.save_for_backward(x, weight_D, inverse)
            return out
        wide = x.float()
        inverse = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight_D, inverse)
        return weight_D * (wide * inverse).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:
        x, weight_D, inverse = ctx.saved_tensors
        if kernels_run(x):
            return fused.norm_backward(grad_out, x, weight_D, inverse), None, None
        wide, grad = x.float(), (grad_out * weight_D).float()
        shared = (grad * wide).mean(-1, keepdim=True) * inverse.pow(3)
        return grad.mul_(inverse).addcmul_(wide, shared, value=-1).to(x.dtype), None, None
