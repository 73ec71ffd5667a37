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

from qwen_pipeline.model.dora import FusedDora, dora_scale


class FusedLora4bit(Linear4bit):  # type: ignore[misc]
    """peft's layer with a faster forward for the ordinary case."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Base product and adapter: ``[..., I]`` to ``[..., O]`` in the dtype of the products."""
        adapter = self._ordinary_adapter(args, kwargs)
        dtype = _product_dtype(x)
        if adapter is None or (dtype != x.dtype and not x.is_floating_point()):
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        down_rI, up_Or = self.lora_A[adapter].weight, self.lora_B[adapter].weight
        is_dora = (
            adapter in self.lora_variant
        )  # peft's own would make the whole matrix for each token it generates
        if dtype != down_rI.dtype and not torch.is_autocast_enabled(x.device.type) and not is_dora:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        x, weight = x.to(dtype), self.base_layer.weight
        seen = self.lora_dropout[adapter](x)
        out: Tensor = _FusedLora.apply(
            seen, down_rI.to(dtype), up_Or.to(dtype), weight, weight.quant_state, self.scaling[adapter]
        )  # type: ignore[no-untyped-call]
        if not is_dora:
            return out
        scale_O = self.lora_magnitude_vector[adapter].weight * dora_scale(self, adapter)
        out = (out * scale_O).to(dtype)  # in float32: a 16-bit scale would be off by up to 0.4 %
        # As in peft, dropout is on what the adapter adds to the base's output and not on that output itself.
        return out if seen is x else out + self.base_layer(x) - self.base_layer(seen)

    def resolve_lora_variant(self, *, config: LoraConfig, **kwargs: Any) -> Any:
        """The choice of variant that peft makes, with DoRA as this project computes it."""
        variant = super().resolve_lora_variant(config=config, **kwargs)
        return FusedDora() if isinstance(variant, DoraLinearVariant) else variant

    def _ordinary_adapter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The one active adapter, or None where peft's own forward is needed."""
        if args or kwargs or self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        name: str = self.active_adapters[0]
        if name not in self.lora_A or self.base_layer.bias is not None or self.lora_B[name].bias is not None:
            return None
        if name in self.lora_variant:
            return name if isinstance(self.lora_variant[name], FusedDora) else None
        return name if isinstance(self.lora_dropout[name], nn.Identity) else None


def use_fused_lora(config: LoraConfig) -> LoraConfig:
    """Let peft make this layer where it would make its own for 4-bit weights; the saved configuration stays the same."""
    config._register_custom_module({bnb.nn.Linear4bit: FusedLora4bit})
    return config


def _product_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class _FusedLora(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, down_rI: Tensor, up_Or: Tensor, weight: Tensor, state: Any, scaling: float
    ) -> Tensor:
        x_TI = x.reshape(-1, x.shape[-1])
        down_Tr = x_TI @ down_rI.t()
        out_TO: Tensor = bnb.matmul_4bit(x_TI, weight.t(), quant_state=state)
        out_TO.addmm_(down_Tr, up_Or.t(), alpha=scaling)
        ctx.save_for_backward(x_TI, down_Tr, down_rI, up_Or)
        ctx.weight, ctx.state, ctx.scaling, ctx.shape = weight, state, scaling, x.shape
        return out_TO.view(*x.shape[:-1], out_TO.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, down_Tr, down_rI, up_Or = ctx.saved_tensors
        grad_TO = grad_out.reshape(-1, grad_out.shape[-1])
        grad_up_Or = (grad_TO.t() @ down_Tr).mul_(ctx.scaling)
        grad_Tr = (grad_TO @ up_Or).mul_(ctx.scaling)
        grad_down_rI = grad_Tr.t() @ x_TI
        grad_x = None
        if ctx.needs_input_grad[0]:
            weight_OI = bnb.functional.dequantize_4bit(ctx.weight, ctx.state).to(grad_TO.dtype)
            grad_x = (grad_TO @ weight_OI).addmm_(grad_Tr, down_rI).view(ctx.shape)
        return grad_x, grad_down_rI, grad_up_Or, None, None, None
