"""The kernels of a card against their formulas in float64: relative errors of values and gradients."""

import bitsandbytes as bnb
import torch
from gpu_report import Part
from torch import Tensor
from torch.nn.functional import cross_entropy, silu
from transformers.models.qwen3.modeling_qwen3 import apply_rotary_pos_emb

from qwen_pipeline.kernels import fused

EPS = 1e-6


def check_kernels(part: Part, device: torch.device) -> None:
    """Errors of every kernel by dtype; none where they do not run."""
    runs = fused.kernels_run(torch.zeros(1, device=device))
    part.note(kernels_run=runs)
    for dtype in (torch.float32, torch.bfloat16) if runs else ():
        generator = torch.Generator(device).manual_seed(0)

        def random(*shape: int, dtype: torch.dtype = dtype, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(shape, device=device, generator=generator).to(dtype)

        part.note(
            **{str(dtype).removeprefix("torch."): {
                "norm": norm_errors(random(301, 2560), random(2560), random(301, 2560)),
                "norm_and_turn": turn_errors(random(1, 77, 8, 128), random(128), random(1, 77, 8, 128)),
                "gated": gated_errors(random(300, 999), random(300, 999), random(300, 999)),
                "dequantise": dequantise_errors(random(1024, 2560)),
                "softmax_loss": softmax_errors(random(64, 151_936)),
            }}
        )  # fmt: skip


def relative(found: Tensor, truth: Tensor) -> float:
    """``|found - truth| / |truth|``."""
    return float((found.double() - truth.double()).norm() / truth.double().norm())


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def norm_errors(x: Tensor, weight: Tensor, grad: Tensor) -> list[float]:
    wide = x.double().requires_grad_()
    truth = plain_norm(wide, weight.double())
    truth.backward(grad.double())
    out, inverse = fused.norm(x, weight, EPS)
    return [relative(out, truth.detach()), relative(fused.norm_backward(grad, x, weight, inverse), wide.grad)]


def turn_errors(x: Tensor, weight: Tensor, grad: Tensor) -> list[float]:
    angles = torch.rand(1, x.shape[1], x.shape[3] // 2, device=x.device, dtype=torch.float64) * 6
    rotation = tuple(f(torch.cat([angles, angles], -1)).to(x.dtype) for f in (torch.cos, torch.sin))
    wide = x.double().requires_grad_()
    normed = plain_norm(wide, weight.double()).transpose(1, 2)
    truth = apply_rotary_pos_emb(normed, normed, *(each.double() for each in rotation))[0].transpose(1, 2)
    truth.backward(grad.double())
    out, inverse = fused.norm_and_turn(x, weight, EPS, rotation)
    found = fused.norm_and_turn_backward(grad, x, weight, inverse, rotation)
    return [relative(out, truth.detach()), relative(found, wide.grad)]


def gated_errors(gate: Tensor, x: Tensor, grad: Tensor) -> list[float]:
    wide_gate, wide = gate.double().requires_grad_(), x.double().requires_grad_()
    truth = silu(wide_gate) * wide
    truth.backward(grad.double())
    grad_gate, grad_x = fused.gated_backward(grad.clone(), gate, x)
    return [
        relative(fused.gated(gate, x), truth.detach()),
        relative(grad_gate, wide_gate.grad),
        relative(grad_x, wide.grad),
    ]


def dequantise_errors(weight: Tensor) -> list[float]:
    """Against bitsandbytes' own, of which every bit should be there."""
    packed, state = bnb.functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    return [relative(fused.dequantise(packed, state, weight), bnb.functional.dequantize_4bit(packed, state))]


def softmax_errors(logits: Tensor) -> list[float]:
    labels = torch.arange(len(logits), device=logits.device) * 7
    wide = logits.double().requires_grad_()
    truth = cross_entropy(wide, labels, reduction="none")
    truth.sum().backward()
    loss = fused.softmax_loss(logits, labels)
    return [relative(loss, truth.detach()), relative(logits, wide.grad)]
