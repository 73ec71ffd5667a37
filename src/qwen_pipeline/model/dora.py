"""DoRA beside the fused 4-bit layer: the row norms of ``W + s B A`` without ever making that matrix.

DoRA scales each output by ``magnitude / ||W + s B A||``, the norm taken as a constant in backward. peft makes ``B A`` and the
dequantised ``W`` in full for it at each forward. The squared norm of a row is
``||W||² + 2 s (A Wᵀ)ᵀ·B + s² (B A Aᵀ)·B``: its first part never changes, the second is the base product of r rows, and the
third is of rank r.

Source: Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", section 4.3 for the constant norm.
Shapes: I input and O output features, r rank.
"""

from typing import Any

import bitsandbytes as bnb
import torch
from peft.tuners.lora.dora import DoraLinearLayer
from peft.tuners.lora.variants import DoraLinearVariant
from torch import Tensor, nn


class FusedDora(DoraLinearVariant):  # type: ignore[misc]
    """peft's variant with magnitudes that know the norms of the frozen rows; names and files stay peft's."""

    @staticmethod
    def init(module: Any, adapter_name: str, **kwargs: Any) -> None:
        """Begin with the norms of the base's rows: ``B A`` is zero then.

        Args:
            module: The 4-bit layer with its adapter.
            adapter_name: Whose magnitudes.
            **kwargs: What peft hands over; not needed.
        """
        if not module.lora_magnitude_vector:
            module.adapter_layer_names = (*module.adapter_layer_names, "lora_magnitude_vector")
        layer = DoraLinearLayer(fan_in_fan_out=False)
        squares_O = _row_squares(module.base_layer)
        layer.weight = nn.Parameter(squares_O.sqrt())
        layer.register_buffer("base_squares", squares_O, persistent=False)
        module.lora_magnitude_vector[adapter_name] = layer


@torch.no_grad()
def dora_scale(module: Any, adapter_name: str) -> Tensor:
    """``1 / ||W + s B A||`` by output, ``[O]`` float32, a constant for autograd; of a frozen adapter it is kept."""
    down, up = module.lora_A[adapter_name].weight, module.lora_B[adapter_name].weight
    if down.requires_grad or up.requires_grad:
        return _inverse_norms(module, adapter_name)
    layer = module.lora_magnitude_vector[adapter_name]
    state = (down.data_ptr(), down._version, up.data_ptr(), up._version)
    if getattr(layer, "kept_for", None) != state:
        layer.kept_for, layer.kept = state, _inverse_norms(module, adapter_name)
    kept: Tensor = layer.kept
    return kept


def _inverse_norms(module: Any, adapter_name: str) -> Tensor:
    weight, scaling = module.base_layer.weight, module.scaling[adapter_name]
    down_rI = module.lora_A[adapter_name].weight.float()
    up_Or = module.lora_B[adapter_name].weight.float()
    with torch.autocast(down_rI.device.type, enabled=False):
        base_rO = bnb.matmul_4bit(down_rI, weight.t(), quant_state=weight.quant_state)
        cross_O = (base_rO.t() * up_Or).sum(1)
        own_O = ((up_Or @ (down_rI @ down_rI.t())) * up_Or).sum(1)
    squares_O: Tensor = module.lora_magnitude_vector[adapter_name].base_squares
    total_O = squares_O + 2 * scaling * cross_O + scaling**2 * own_O
    inverse_O: Tensor = total_O.clamp_min(torch.finfo(torch.float32).tiny).rsqrt()
    return inverse_O


def _row_squares(layer: Any) -> Tensor:
    """``||W||²`` by row, ``[O]`` float32; of a layer on the meta device only the shape."""
    weight = layer.weight
    if weight.device.type == "meta":
        return torch.empty(layer.out_features, device="meta")
    values_OI = bnb.functional.dequantize_4bit(weight.data, weight.quant_state)
    squares_O: Tensor = values_OI.float().square().sum(1)
    return squares_O
