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
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ in _NORMS:
                setattr(parent, name, LeanRMSNorm(child.weight, child.variance_epsilon))  # type: ignore[arg-type]
            elif type(child).__name__ in _FEED_FORWARDS and type(child.act_fn).__name__ in _SILU:
                setattr(parent, name, LeanFeedForward(child.gate_proj, child.up_proj, child.down_proj))  # type: ignore[arg-type]


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        wide = x.float()
        inverse = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight_D, inverse)
        return weight_D * (wide * inverse).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:
        x, weight_D, inverse = ctx.saved_tensors
        wide, grad = x.float(), (grad_out * weight_D).float()
        shared = (grad * wide).mean(-1, keepdim=True) * inverse.pow(3)
        return grad.mul_(inverse).addcmul_(wide, shared, value=-1).to(x.dtype), None, None
