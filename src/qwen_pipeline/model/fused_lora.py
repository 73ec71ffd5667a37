"""peft's layer of a 4-bit weight and its adapter, with a faster forward for the ordinary case (`lora_product`).

Registered with peft as its layer for `bitsandbytes.nn.Linear4bit`, so that names, saving and loading stay peft's own; whatever is out of
the ordinary (dropout, several adapters, adapters switched off) goes through peft's own forward. DoRA is the fused product times one
number an output (`model/dora.py`), with dropout too.

Shapes: I input and O output features.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import bitsandbytes as bnb
import torch
from peft import LoraConfig
from peft.tuners.lora.bnb import Linear4bit
from peft.tuners.lora.variants import DoraLinearVariant
from torch import Tensor, nn
from torch.nn.functional import silu

from qwen_pipeline.model.dora import FusedDora, dora_scale
from qwen_pipeline.model.lora_product import Projection, project


class Norm(Protocol):
    """An RMSNorm that can be left to the layers behind it."""

    weight: nn.Parameter
    eps: float

    def normed(self, x: Tensor) -> Tensor:
        """The norm's output."""


class FusedLora4bit(Linear4bit):  # type: ignore[misc]
    """peft's layer with a faster forward for the ordinary case."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Base product and adapter: ``[..., I]`` to ``[..., O]`` in the dtype of the products."""
        adapter = self.fusable_adapter(x, args, kwargs)
        if adapter is None:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        x = x.to(_product_dtype(x))
        seen = self.lora_dropout[adapter](x)
        out = _outputs([self], [adapter], seen)[0]
        # As in peft, dropout is on what the adapter adds to the base's output and not on that output itself.
        return out if seen is x else out + self.base_layer(x) - self.base_layer(seen)

    def resolve_lora_variant(self, *, config: LoraConfig, **kwargs: Any) -> Any:
        """The choice of variant that peft makes, with DoRA as this project computes it."""
        variant = super().resolve_lora_variant(config=config, **kwargs)
        return FusedDora() if isinstance(variant, DoraLinearVariant) else variant

    def scaled(self, out: Tensor, adapter: str) -> Tensor:
        """An output with DoRA's magnitudes, where the adapter has them."""
        if adapter not in self.lora_variant:
            return out
        scale_O: Tensor = self.lora_magnitude_vector[adapter].weight * dora_scale(self, adapter)
        return (out * scale_O).to(out.dtype)  # in float32: a 16-bit scale would be off by up to 0.4 %

    def fusable_adapter(
        self, x: Tensor, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = MappingProxyType({})
    ) -> str | None:
        """The one active adapter, or None where peft's own forward is needed."""
        if args or kwargs or self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        name: str = self.active_adapters[0]
        if name not in self.lora_A or self.base_layer.bias is not None or self.lora_B[name].bias is not None:
            return None
        # peft's own DoRA would make the whole matrix for each token it generates
        if name in self.lora_variant:
            return name if isinstance(self.lora_variant[name], FusedDora) else None
        casts = _product_dtype(x) != self.lora_A[name].weight.dtype
        if casts and not torch.is_autocast_enabled(x.device.type):
            return None
        return name if isinstance(self.lora_dropout[name], nn.Identity) else None

    def plain_adapter(self, x: Tensor) -> str | None:
        """`fusable_adapter`, if it has no dropout: it sees what the base sees."""
        name = self.fusable_adapter(x)
        return name if name is not None and isinstance(self.lora_dropout[name], nn.Identity) else None

    def projection(self, adapter: str) -> Projection:
        """The layer with one of its adapters, for `lora_product.project`."""
        weight = self.base_layer.weight
        down_rI, up_Or = self.lora_A[adapter].weight, self.lora_B[adapter].weight
        return Projection(weight, weight.quant_state, down_rI, up_Or, self.scaling[adapter])


def project_together(
    layers: Sequence[nn.Module],
    x: Tensor,
    *,
    gate: Tensor | None = None,
    norm: Norm | None = None,
    for_backward_only: bool = False,
) -> Sequence[Tensor]:
    """The outputs of several layers for one input, in one operation where all of them are of the ordinary kind.

    Args:
        layers: Linear layers, with adapters or without.
        x: ``[..., I]``.
        gate: The layers see ``silu(gate) * x``, which is computed again in backward instead of kept.
        norm: The layers see ``norm.normed(x)``, likewise.
        for_backward_only: Nobody reads the outputs: they may come without their values.

    Returns:
        ``[..., O]`` of each.
    """
    adapters = [layer.plain_adapter(x) if isinstance(layer, FusedLora4bit) else None for layer in layers]
    if None not in adapters:
        return _outputs(layers, adapters, x, gate, norm, for_backward_only)
    seen = silu(gate) * x if gate is not None else x if norm is None else norm.normed(x)
    return [layer(seen) for layer in layers]


def use_fused_lora(config: LoraConfig) -> None:
    """Let peft make this layer where it would make its own for 4-bit weights; the saved configuration stays the same."""
    config._register_custom_module({bnb.nn.Linear4bit: FusedLora4bit})


def _outputs(
    layers: Sequence[Any],
    adapters: Sequence[Any],
    x: Tensor,
    gate: Tensor | None = None,
    norm: Norm | None = None,
    for_backward_only: bool = False,
) -> Sequence[Tensor]:
    dtype = _product_dtype(x)
    if gate is not None:
        gate, x = gate.to(dtype), x.to(dtype)
    projections = [layer.projection(name) for layer, name in zip(layers, adapters, strict=True)]
    # DoRA's magnitudes want the output for their own gradient.
    has_magnitudes = any(name in layer.lora_variant for layer, name in zip(layers, adapters, strict=True))
    outputs = project(
        x, projections, dtype, gate=gate, norm=None if norm is None else (norm.weight, norm.eps),
        for_backward_only=for_backward_only and not has_magnitudes,
    )  # fmt: skip
    return [layer.scaled(out, name) for layer, out, name in zip(layers, outputs, adapters, strict=True)]


def _product_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
