"""4-bit layers with LoRA adapters that share an input, as one differentiable operation.

peft computes ``base(x).clone() + B(A(x)) * s`` in separate operations for each layer: four passes over the output, a float32 copy of
the input on a CPU, and an input kept for each of them. Here the low-rank product is added into the base product in place, forward and
backward, layers of one input share their products with ``A``, and what is cheap to compute again (a norm, an opened gate) is not kept.

Adapters come in their own dtype, float32, and are rounded here: that spares autograd a step for each tensor, and on a card their
gradients leave the matrix units in float32.

Shapes: T tokens, I input and O output features, r rank, R the ranks of all layers together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qwen_pipeline.kernels import fused

FEW_ROWS = 256


@dataclass(frozen=True)
class Projection:
    """One layer.

    Attributes:
        weight: The frozen layer's packed weights.
        state: bitsandbytes' ``QuantState`` of them.
        down: The adapter's ``A``, ``[r, I]``.
        up: The adapter's ``B``, ``[O, r]``.
        scaling: The adapter's scale.
    """

    weight: Tensor
    state: Any
    down: Tensor
    up: Tensor
    scaling: float


def project(
    x: Tensor,
    projections: Sequence[Projection],
    dtype: torch.dtype,
    *,
    gate: Tensor | None = None,
    norm: tuple[Tensor, float] | None = None,
    for_backward_only: bool = False,
) -> tuple[Tensor, ...]:
    """The outputs of layers for one input.

    Args:
        x: ``[..., I]``.
        projections: The layers.
        dtype: Of the products and of the outputs.
        gate: The layers see ``silu(gate) * x``; of the dtype of the products, as ``x`` is then.
        norm: Weight and epsilon of an RMSNorm: the layers see ``x`` after it.
        for_backward_only: Nobody reads the outputs, which hold no values then; backward finds what it needs.

    Returns:
        ``[..., O]`` of each layer.
    """
    adapters = [weight for each in projections for weight in (each.down, each.up)]
    outputs: tuple[Tensor, ...] = _Projections.apply(  # type: ignore[no-untyped-call]
        x, gate, norm, dtype, for_backward_only, projections, *adapters
    )
    return outputs


class _Projections(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gate: Tensor | None, norm: tuple[Tensor, float] | None, dtype: torch.dtype,
        for_backward_only: bool, projections: Sequence[Projection], *adapters: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        x_TI = x.reshape(-1, x.shape[-1])
        gate_TI = None if gate is None else gate.reshape(-1, x.shape[-1])
        seen_TI, inverse = _seen(x_TI, gate_TI, norm, dtype)
        ranks = [each.down.shape[0] for each in projections]
        scaled_RI = seen_TI.new_empty(sum(ranks), seen_TI.shape[1])
        for each, scaled_rI in zip(projections, torch.split(scaled_RI, ranks), strict=True):
            torch.mul(each.down, each.scaling, out=scaled_rI)
        ups = [each.up.to(dtype) for each in projections]
        down_TR = seen_TI @ scaled_RI.t()
        outputs = []
        for each, up_Or, down_Tr in zip(projections, ups, torch.split(down_TR, ranks, dim=1), strict=True):
            out_TO = (
                seen_TI.new_empty(len(seen_TI), len(up_Or)) if for_backward_only
                else _base_product(seen_TI, each).addmm_(down_Tr, up_Or.t())
            )  # fmt: skip
            outputs.append(out_TO.view(*x.shape[:-1], out_TO.shape[-1]))
        ctx.save_for_backward(x_TI, gate_TI, inverse, down_TR, scaled_RI, *ups)
        ctx.norm, ctx.dtype, ctx.projections, ctx.ranks, ctx.shape = norm, dtype, projections, ranks, x.shape
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, gate_TI, inverse, down_TR, scaled_RI, *ups = ctx.saved_tensors
        grads = [grad.reshape(-1, grad.shape[-1]) for grad in grad_outputs]
        seen_TI, _ = _seen(x_TI, gate_TI, ctx.norm, ctx.dtype)
        grad_TR = torch.empty_like(down_TR)
        for grad_TO, up_Or, grad_Tr in zip(grads, ups, torch.split(grad_TR, ctx.ranks, dim=1), strict=True):
            torch.mm(grad_TO, up_Or, out=grad_Tr)
        adapters = _adapter_gradients(ctx, grads, grad_TR, seen_TI, down_TR)
        del seen_TI
        if not any(ctx.needs_input_grad[:2]):  # a gate may have adapters below it where x has none
            return None, None, None, None, None, None, *adapters
        grad_TI = _input_gradient(grads, ctx.projections).addmm_(grad_TR, scaled_RI)
        grad_gate = None
        if gate_TI is not None:
            grad_gate, grad_TI = fused.gated_backward(grad_TI, gate_TI, x_TI)
            grad_gate = grad_gate.view(ctx.shape)
        elif ctx.norm is not None:
            grad_TI = fused.norm_backward(grad_TI, x_TI, ctx.norm[0], inverse)
        return grad_TI.to(x_TI.dtype).view(ctx.shape), grad_gate, None, None, None, None, *adapters


def _seen(
    x_TI: Tensor, gate_TI: Tensor | None, norm: tuple[Tensor, float] | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """What the layers see, and what the norm's backward wants."""
    if gate_TI is not None:
        return fused.gated(gate_TI, x_TI), None
    if norm is None:
        return x_TI.to(dtype), None
    seen_TI, inverse = fused.norm(x_TI, *norm)
    return seen_TI.to(dtype), inverse


def _base_product(x_TI: Tensor, each: Projection) -> Tensor:
    """The frozen layer's output; few rows, as in generation, go through bitsandbytes' own product of packed weights."""
    if len(x_TI) > FEW_ROWS and fused.kernels_run(x_TI):
        return x_TI @ fused.dequantise(each.weight, each.state, x_TI).t()
    out_TO: Tensor = bnb.matmul_4bit(x_TI, each.weight.t(), quant_state=each.state)
    return out_TO


def _adapter_gradients(
    ctx: Any, grads: Sequence[Tensor], grad_TR: Tensor, seen_TI: Tensor, down_TR: Tensor
) -> list[Tensor]:
    """Of ``A`` and ``B`` of each layer in turn."""
    dtype = ctx.projections[0].down.dtype
    grad_RI = fused.weight_gradient(grad_TR, seen_TI, dtype)
    found: list[Tensor] = []
    layers = zip(
        ctx.projections,
        grads,
        torch.split(grad_RI, ctx.ranks),
        torch.split(down_TR, ctx.ranks, dim=1),
        strict=True,
    )
    for each, grad_TO, grad_rI, down_Tr in layers:
        found += [grad_rI.mul_(each.scaling), fused.weight_gradient(grad_TO, down_Tr, dtype)]
    return found


def _input_gradient(grads: Sequence[Tensor], projections: Sequence[Projection]) -> Tensor:
    """What comes back through the frozen layers, ``[T, I]``."""
    total_TI: Tensor | None = None
    for grad_TO, each in zip(grads, projections, strict=True):
        weight_OI = fused.dequantise(each.weight, each.state, grad_TO)
        total_TI = grad_TO @ weight_OI if total_TI is None else total_TI.addmm_(grad_TO, weight_OI)
        del weight_OI
    assert total_TI is not None
    return total_TI
