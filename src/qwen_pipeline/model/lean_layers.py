"""Norms and feed-forward layers that keep only what their backward cannot compute again.

transformers' RMSNorm leaves two float32 copies of its input behind, its feed-forward layer the gate, the opened gate, the other half
and their product. Here a norm keeps its input and one number a row, or nothing at all where the layers behind it take the norm over, and
a feed-forward layer the two halves as they come out of their projections. Values are transformers' own to the bit on a CPU; gradients
follow from the same formulas.

Sources: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"; Shazeer 2020, "GLU Variants Improve Transformer".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3DecoderLayer

from qwen_pipeline.kernels import fused
from qwen_pipeline.model.fused_lora import project_together
from qwen_pipeline.model.lean_attention import LeanAttention

# Qwen3, Qwen2 and Llama write the same formulas under three names.
_NORMS = ("Qwen3RMSNorm", "Qwen2RMSNorm", "LlamaRMSNorm")
_FEED_FORWARDS = ("Qwen3MLP", "Qwen2MLP", "LlamaMLP")
_SILU = ("SiLUActivation", "SiLU")


class LeanRMSNorm(nn.Module):
    """A frozen RMSNorm: ``x / rms(x) * weight`` over the last dimension.

    Attributes:
        is_left_to_others: The layers behind it call `normed` or compute it themselves; ``forward`` hands its input on.
    """

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        """Take over a norm's weight, ``[D]``, and its epsilon."""
        super().__init__()
        self.weight, self.eps = weight, eps
        self.is_left_to_others = False

    def forward(self, x: Tensor) -> Tensor:
        """Norm ``[..., D]``; computed in float32."""
        return x if self.is_left_to_others else self.normed(x)

    def normed(self, x: Tensor) -> Tensor:
        """The norm itself."""
        return cast(Tensor, _RMSNorm.apply(x, self.weight, self.eps))  # type: ignore[no-untyped-call]


class LeanFeedForward(nn.Module):
    """``down(silu(gate(x)) * up(x))``; where ``down`` is a fused 4-bit layer the product is not kept.

    Attributes:
        norm_before: A norm that is left to this layer, in a list so that it is registered in one place alone.
        is_for_backward_only: Nobody reads the output, see `recomputing`.
    """

    def __init__(self, gate_proj: nn.Module, up_proj: nn.Module, down_proj: nn.Module) -> None:
        """Take over the three projections under their names."""
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate_proj, up_proj, down_proj
        self.norm_before: list[LeanRMSNorm | None] = [None]
        self.is_for_backward_only = False

    def forward(self, x: Tensor) -> Tensor:
        """``[..., D]`` to ``[..., D]``."""
        gate, up = project_together([self.gate_proj, self.up_proj], x, norm=self.norm_before[0])
        return project_together([self.down_proj], up, gate=gate, for_backward_only=self.is_for_backward_only)[
            0
        ]

    @contextmanager
    def recomputing(self) -> Iterator[None]:
        """Leave the last product out while the block runs: a quarter of a layer's, and what follows it keeps nothing."""
        self.is_for_backward_only = True
        try:
            yield
        finally:
            self.is_for_backward_only = False


def use_lean_layers(model: nn.Module) -> None:
    """Put these layers in the place of transformers' own, the same weights and names; other kinds stay as they are.

    Args:
        model: A frozen decoder, before adapters are attached to it.
    """
    # Children first: an attention layer takes over norms that are replaced already.
    for parent in reversed(list(model.modules())):
        for name, child in list(parent.named_children()):
            if type(child).__name__ in _NORMS:
                setattr(parent, name, LeanRMSNorm(child.weight, child.variance_epsilon))  # type: ignore[arg-type]
            elif type(child).__name__ in _FEED_FORWARDS and type(child.act_fn).__name__ in _SILU:
                setattr(parent, name, LeanFeedForward(child.gate_proj, child.up_proj, child.down_proj))  # type: ignore[arg-type]
            elif type(child) is Qwen3Attention:
                setattr(parent, name, LeanAttention(child))
        if type(parent) is Qwen3DecoderLayer:
            _leave_norm(parent.input_layernorm, parent.self_attn)
            _leave_norm(parent.post_attention_layernorm, parent.mlp)
            if isinstance(parent.mlp, LeanFeedForward):  # only an addition comes behind it
                parent.recomputing = parent.mlp.recomputing  # type: ignore[assignment]


def _leave_norm(norm: Any, layer: Any) -> None:
    """Let a layer take the norm before it over, if both are of this kind."""
    if isinstance(norm, LeanRMSNorm) and isinstance(layer, LeanAttention | LeanFeedForward):
        norm.is_left_to_others, layer.norm_before[0] = True, norm


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        out, inverse = fused.norm(x, weight_D, eps)
        ctx.save_for_backward(x, weight_D, inverse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:
        return fused.norm_backward(grad_out, *ctx.saved_tensors), None, None
