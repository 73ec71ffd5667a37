"""A 4-bit linear layer and its LoRA adapter as one differentiable operation.

peft computes ``base(x).clone() + B(A(x)) * s`` in separate operations: four passes over the output, a float32 copy of
the input on a CPU, and an input kept for each of them. Here the low-rank product is added into the base product in
place, forward and backward, and only the input and ``A(x)`` are kept. Registered with peft as its layer for
`bitsandbytes.nn.Linear4bit`, so that names, saving and loading stay peft's own; whatever is out of the ordinary
(dropout, several adapters, adapters switched off) goes through peft's own forward. DoRA is the fused product times one
number an output (`model/dora.py`), with dropout too.

Shapes: T tokens, I input and O output features, r rank.
"""

from typing import Any

import bitsandbytes as bnb
import torch
from peft import LoraConfig
from peft.tuners.lora.bnb import Linear4bit
from peft.tuners.lora.variants import DoraLinearVariant
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import silu

from qwen_pipeline.kernels import fused
from qwen_pipeline.kernels.fused import kernels_run
from qwen_pipeline.model.dora import FusedDora, dora_scale

silu_backward = torch.ops.aten.silu_backward
FEW_ROWS = 256


class FusedLora4bit(Linear4bit):  # type: ignore[misc]
    """peft's layer with a faster forward for the ordinary case."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Base product and adapter: ``[..., I]`` to ``[..., O]`` in the dtype of the products."""
        adapter = self._fusable_adapter(x, args, kwargs)
        if adapter is None:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        x = x.to(_product_dtype(x))
        seen = self.lora_dropout[adapter](x)
        out = self._scaled(self._product(adapter, seen, None), adapter)
        # As in peft, dropout is on what the adapter adds to the base's output and not on that output itself.
        return out if seen is x else out + self.base_layer(x) - self.base_layer(seen)

    def forward_gated(self, gate: Tensor, up: Tensor) -> Tensor:
        """The layer's output for ``silu(gate) * up``, an input that is computed again in backward instead of kept.

        Args:
            gate: ``[..., I]``.
            up: ``[..., I]``.
        """
        adapter = self._fusable_adapter(up, (), {})
        if adapter is None or not isinstance(self.lora_dropout[adapter], nn.Identity):
            return self(silu(gate) * up)  # type: ignore[no-any-return]
        dtype = _product_dtype(up)
        return self._scaled(self._product(adapter, up.to(dtype), gate.to(dtype)), adapter)

    def resolve_lora_variant(self, *, config: LoraConfig, **kwargs: Any) -> Any:
        """The choice of variant that peft makes, with DoRA as this project computes it."""
        variant = super().resolve_lora_variant(config=config, **kwargs)
        return FusedDora() if isinstance(variant, DoraLinearVariant) else variant

    def _product(self, adapter: str, x: Tensor, gate: Tensor | None) -> Tensor:
        down_rI, up_Or = self.lora_A[adapter].weight, self.lora_B[adapter].weight
        weight = self.base_layer.weight
        out: Tensor = _FusedLora.apply(
            x, gate, down_rI, up_Or, weight, weight.quant_state, self.scaling[adapter]
        )  # type: ignore[no-untyped-call]
        return out

    def _scaled(self, out: Tensor, adapter: str) -> Tensor:
        if adapter not in self.lora_variant:
            return out
        scale_O: Tensor = self.lora_magnitude_vector[adapter].weight * dora_scale(self, adapter)
        return (out * scale_O).to(out.dtype)  # in float32: a 16-bit scale would be off by up to 0.4 %

    def _fusable_adapter(self, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The one active adapter, or None where peft's own forward is needed."""
        if args or kwargs or self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        name: str = self.active_adapters[0]
        if name not in self.lora_A or self.base_layer.bias is not None or self.lora_B[name].bias is not None:
            return None
        if (
            name in self.lora_variant
        ):  # peft's own DoRA would make the whole matrix for each token it generates
            return name if isinstance(self.lora_variant[name], FusedDora) else None
        casts = _product_dtype(x) != self.lora_A[name].weight.dtype
        if casts and not torch.is_autocast_enabled(x.device.type):
            return None
        return name if isinstance(self.lora_dropout[name], nn.Identity) else None


def use_fused_lora(config: LoraConfig) -> LoraConfig:
    """Let peft make this layer where it would make its own for 4-bit weights; the saved configuration stays the same."""
    config._register_custom_module({bnb.nn.Linear4bit: FusedLora4bit})
    return config


def _product_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class _FusedLora(torch.autograd.Function):
    """Base product and adapter; with a gate the input is ``silu(gate) * x``.

    The adapter comes in its own dtype, float32, and is rounded here: that spares a step of autograd for each tensor, and on a card its
    gradients leave the matrix units in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gate: Tensor | None, down_rI: Tensor, up_Or: Tensor, weight: Tensor, state: Any,
        scaling: float,
    ) -> Tensor:  # fmt: skip
        x_TI = x.reshape(-1, x.shape[-1])
        gate_TI = None if gate is None else gate.reshape(-1, x.shape[-1])
        seen_TI = x_TI if gate_TI is None else _gated(gate_TI, x_TI)
        scaled_rI = torch.mul(down_rI, scaling, out=torch.empty_like(down_rI, dtype=x.dtype))
        rounded_Or = up_Or.to(x.dtype)
        down_Tr = seen_TI @ scaled_rI.t()
        out_TO = _base_product(seen_TI, weight, state)
        out_TO.addmm_(down_Tr, rounded_Or.t())
        ctx.save_for_backward(x_TI, gate_TI, down_Tr, scaled_rI, rounded_Or)
        ctx.weight, ctx.state, ctx.scaling, ctx.shape, ctx.dtype = weight, state, scaling, x.shape, up_Or.dtype
        return out_TO.view(*x.shape[:-1], out_TO.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, gate_TI, down_Tr, scaled_rI, rounded_Or = ctx.saved_tensors
        grad_TO = grad_out.reshape(-1, grad_out.shape[-1])
        grad_up_Or = _weight_gradient(grad_TO, down_Tr, ctx.dtype)
        grad_Tr = grad_TO @ rounded_Or
        seen_TI = x_TI if gate_TI is None else _gated(gate_TI, x_TI)
        grad_down_rI = _weight_gradient(grad_Tr, seen_TI, ctx.dtype).mul_(ctx.scaling)
        del seen_TI
        if not ctx.needs_input_grad[0]:
            return None, None, grad_down_rI, grad_up_Or, None, None, None
        weight_OI = _dequantised(ctx.weight, ctx.state, grad_TO)
        grad_TI = (grad_TO @ weight_OI).addmm_(grad_Tr, scaled_rI)
        del weight_OI
        grad_gate = None
        if gate_TI is not None:
            grad_gate_TI, grad_TI = _gated_backward(grad_TI, gate_TI, x_TI)
            grad_gate = grad_gate_TI.view(ctx.shape)
        return grad_TI.view(ctx.shape), grad_gate, grad_down_rI, grad_up_Or, None, None, None


def _base_product(x_TI: Tensor, weight: Tensor, state: Any) -> Tensor:
    """The frozen layer's output; few rows, as in generation, go through bitsandbytes' own product of packed weights."""
    if len(x_TI) > FEW_ROWS and kernels_run(x_TI):
        return x_TI @ fused.dequantize(weight, state, x_TI.dtype).t()
    out_TO: Tensor = bnb.matmul_4bit(x_TI, weight.t(), quant_state=state)
    return out_TO


def _dequantised(weight: Tensor, state: Any, like: Tensor) -> Tensor:
    if kernels_run(like):
        return fused.dequantize(weight, state, like.dtype)
    weight_OI: Tensor = bnb.functional.dequantize_4bit(weight, state).to(like.dtype)
    return weight_OI


def _weight_gradient(grad_TO: Tensor, x_TI: Tensor, dtype: torch.dtype) -> Tensor:
    """``gradᵀ x``, ``[O, I]``; a card adds up in float32 and need not round."""
    if dtype == torch.float32 and grad_TO.dtype != dtype and kernels_run(grad_TO):
        return torch.mm(grad_TO.t(), x_TI, out_dtype=dtype)
    return (grad_TO.t() @ x_TI).to(dtype)


def _gated(gate: Tensor, x: Tensor) -> Tensor:
    return fused.gated(gate, x) if kernels_run(x) else silu(gate).mul_(x)


def _gated_backward(grad: Tensor, gate: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients for gate and ``x``; ``grad`` is used up."""
    if kernels_run(x):
        return fused.gated_backward(grad, gate, x)
    grad_x = silu(gate).mul_(grad)
    return silu_backward(grad.mul_(x), gate), grad_x
