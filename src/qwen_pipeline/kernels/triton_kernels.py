"""The kernels in Triton and how they are launched. Imported only where they are about to run.

All compute in float32 and round where transformers' own operations round, but for the rotation, which is rounded once.
"""

# Triton reads the annotation `constexpr` and compiles what it decorates: neither is typed.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

Rotation = tuple[Tensor, Tensor] | None  # cosines and sines
NORM_ELEMENTS = 4096  # of a program that takes several narrow rows
GATED_ELEMENTS = 2048
PACKED_BYTES = 1024  # of 4-bit weights
LOGITS = 4096  # of a row that a program has in hand at a time
_NOTHING = nullcontext()


@triton.jit
def _places(rows, WIDTH: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr):
    """Rows and columns of this program, which of them exist, and where they lie."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    mask = (row < rows)[:, None] & (column < WIDTH)[None, :]
    place = row[:, None] * WIDTH + column[None, :]
    return row, column, mask, place


@triton.jit
def _norm(
    x_ptr, weight_ptr, cos_ptr, sin_ptr, out_ptr, inverse_ptr, rows, heads, eps,
    WIDTH: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, ROTATES: tl.constexpr,
):  # fmt: skip
    row, column, mask, place = _places(rows, WIDTH, BLOCK, ROWS)
    x = tl.load(x_ptr + place, mask=mask, other=0.0)
    dtype = x.dtype
    x = x.to(tl.float32)
    inverse = tl.rsqrt(tl.sum(x * x, axis=1) / WIDTH + eps)
    tl.store(inverse_ptr + row, inverse, mask=row < rows)
    weight = tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)
    out = (x * inverse[:, None]).to(dtype).to(tl.float32) * weight[None, :]
    if ROTATES:
        other = (column + WIDTH // 2) % WIDTH
        sign = tl.where(column < WIDTH // 2, -1.0, 1.0)
        partner = tl.load(x_ptr + row[:, None] * WIDTH + other[None, :], mask=mask, other=0.0).to(tl.float32)
        partner_weight = tl.load(weight_ptr + other, mask=column < WIDTH, other=0.0).to(tl.float32)
        partner = (partner * inverse[:, None]).to(dtype).to(tl.float32) * partner_weight[None, :]
        angle = (row // heads)[:, None] * WIDTH + column[None, :]
        cos = tl.load(cos_ptr + angle, mask=mask, other=0.0).to(tl.float32)
        sin = tl.load(sin_ptr + angle, mask=mask, other=0.0).to(tl.float32)
        # Rounded as the norm's own output would be, before it is turned.
        out, partner = out.to(dtype).to(tl.float32), partner.to(dtype).to(tl.float32)
        out = out * cos + sign[None, :] * partner * sin
    tl.store(out_ptr + place, out.to(dtype), mask=mask)


@triton.jit
def _norm_backward(
    grad_out_ptr, x_ptr, weight_ptr, cos_ptr, sin_ptr, inverse_ptr, grad_ptr, rows, heads,
    WIDTH: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, ROTATES: tl.constexpr,
):  # fmt: skip
    row, column, mask, place = _places(rows, WIDTH, BLOCK, ROWS)
    x = tl.load(x_ptr + place, mask=mask, other=0.0)
    dtype = x.dtype
    x = x.to(tl.float32)
    grad = tl.load(grad_out_ptr + place, mask=mask, other=0.0).to(tl.float32)
    if ROTATES:
        other = (column + WIDTH // 2) % WIDTH
        sign = tl.where(column < WIDTH // 2, 1.0, -1.0)
        partner = tl.load(grad_out_ptr + row[:, None] * WIDTH + other[None, :], mask=mask, other=0.0).to(
            tl.float32
        )
        token = (row // heads)[:, None] * WIDTH
        cos = tl.load(cos_ptr + token + column[None, :], mask=mask, other=0.0).to(tl.float32)
        sin = tl.load(sin_ptr + token + other[None, :], mask=mask, other=0.0).to(tl.float32)
        grad = grad * cos + sign[None, :] * partner * sin
    weight = tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)
    inverse = tl.load(inverse_ptr + row, mask=row < rows, other=0.0)[:, None]
    grad = grad * weight[None, :]
    shared = (tl.sum(grad * x, axis=1) / WIDTH)[:, None] * inverse * inverse * inverse
    tl.store(grad_ptr + place, (grad * inverse - x * shared).to(dtype), mask=mask)


@triton.jit
def _gated(gate_ptr, x_ptr, out_ptr, elements, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = place < elements
    gate = tl.load(gate_ptr + place, mask=mask, other=0.0)
    x = tl.load(x_ptr + place, mask=mask, other=0.0)
    wide = gate.to(tl.float32)
    opened = (wide * tl.sigmoid(wide)).to(gate.dtype).to(tl.float32)
    tl.store(out_ptr + place, (opened * x.to(tl.float32)).to(x.dtype), mask=mask)


@triton.jit
def _gated_backward(grad_ptr, gate_ptr, x_ptr, grad_gate_ptr, elements, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = place < elements
    gate = tl.load(gate_ptr + place, mask=mask, other=0.0)
    dtype = gate.dtype
    gate = gate.to(tl.float32)
    x = tl.load(x_ptr + place, mask=mask, other=0.0).to(tl.float32)
    grad = tl.load(grad_ptr + place, mask=mask, other=0.0).to(tl.float32)
    share = tl.sigmoid(gate)
    opened = (gate * share).to(dtype).to(tl.float32)
    tl.store(grad_ptr + place, (grad * opened).to(dtype), mask=mask)
    slope = share * (1.0 + gate * (1.0 - share))
    tl.store(grad_gate_ptr + place, (grad * x * slope).to(dtype), mask=mask)


@triton.jit
def _dequantise(
    packed_ptr, code_ptr, scale_ptr, scale_code_ptr, scale_scale_ptr, offset_ptr, out_ptr, bytes_in_all,
    BYTES_A_SCALE: tl.constexpr, SCALES_A_SCALE: tl.constexpr, NESTED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = place < bytes_in_all
    packed = tl.load(packed_ptr + place, mask=mask, other=0).to(tl.int32)
    block = place // BYTES_A_SCALE
    if NESTED:
        step = tl.load(scale_ptr + block, mask=mask, other=0).to(tl.int32)
        scale = tl.load(scale_code_ptr + step) * tl.load(
            scale_scale_ptr + block // SCALES_A_SCALE, mask=mask, other=0.0
        )
        scale += tl.load(offset_ptr)
    else:
        scale = tl.load(scale_ptr + block, mask=mask, other=0.0)
    first = tl.load(code_ptr + (packed >> 4)) * scale
    second = tl.load(code_ptr + (packed & 15)) * scale
    out = tl.interleave(first, second).to(out_ptr.dtype.element_ty)
    both = tl.program_id(0).to(tl.int64) * BLOCK * 2 + tl.arange(0, BLOCK * 2)
    tl.store(out_ptr + both, out, mask=both < bytes_in_all * 2)


@triton.jit
def _softmax_loss(logits_ptr, labels_ptr, loss_ptr, vocabulary, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    logits_ptr += row * vocabulary
    label = tl.load(labels_ptr + row)
    label_logit = tl.load(logits_ptr + label).to(tl.float32)
    column = tl.arange(0, BLOCK)
    highest = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):  # every lane has its own softmax so far
        logits = tl.load(
            logits_ptr + start + column, mask=start + column < vocabulary, other=float("-inf")
        ).to(tl.float32)
        higher = tl.maximum(highest, logits)
        # A lane behind the vocabulary's end has seen nothing: its total stays 0 and not NaN.
        seen = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(highest - seen) + tl.exp(logits - seen)
        highest = higher
    top = tl.max(highest, axis=0)
    sum_of_all = tl.sum(total * tl.exp(highest - top), axis=0)
    tl.store(loss_ptr + row, tl.log(sum_of_all) + top - label_logit)
    for start in range(0, vocabulary, BLOCK):
        token = start + column
        mask = token < vocabulary
        logits = tl.load(logits_ptr + token, mask=mask, other=float("-inf"))
        share = tl.exp(logits.to(tl.float32) - top) / sum_of_all
        share = tl.where(token == label, share - 1.0, share)
        tl.store(logits_ptr + token, share.to(logits.dtype), mask=mask)


def launch_norm(
    x: Tensor, weight_W: Tensor, eps: float, rotation: Rotation, out: Tensor, inverse_R: Tensor
) -> None:
    """Fill ``out`` and ``inverse_R``; see `fused.norm`."""
    rows, heads, shape = _norm_shape(x, rotation)
    cos, sin = rotation or (x, x)
    with _on_device_of(x):
        _norm[(triton.cdiv(rows, shape["ROWS"]),)](
            x, weight_W, cos, sin, out, inverse_R, rows, heads, eps, **shape
        )


def launch_norm_backward(
    grad_out: Tensor, x: Tensor, weight_W: Tensor, inverse_R: Tensor, rotation: Rotation, grad: Tensor
) -> None:
    """Fill ``grad``; see `fused.norm_backward`."""
    rows, heads, shape = _norm_shape(x, rotation)
    cos, sin = rotation or (x, x)
    with _on_device_of(x):
        _norm_backward[(triton.cdiv(rows, shape["ROWS"]),)](
            grad_out, x, weight_W, cos, sin, inverse_R, grad, rows, heads, **shape
        )


def launch_gated(gate: Tensor, x: Tensor, out: Tensor) -> None:
    """Fill ``out``; see `fused.gated`."""
    with _on_device_of(x):
        _gated[(triton.cdiv(x.numel(), GATED_ELEMENTS),)](
            gate, x, out, x.numel(), BLOCK=GATED_ELEMENTS, num_warps=8
        )


def launch_gated_backward(grad: Tensor, gate: Tensor, x: Tensor, grad_gate: Tensor) -> None:
    """Fill ``grad_gate`` and change ``grad``; see `fused.gated_backward`."""
    with _on_device_of(x):
        _gated_backward[(triton.cdiv(x.numel(), GATED_ELEMENTS),)](
            grad, gate, x, grad_gate, x.numel(), BLOCK=GATED_ELEMENTS, num_warps=8
        )


def launch_dequantise(packed: Tensor, state: Any, out: Tensor) -> None:
    """Fill ``out``; see `fused.dequantise`."""
    nested = state.state2 if state.nested else None
    scales = (state.absmax, nested.code, nested.absmax, state.offset) if nested else (state.absmax,) * 4
    with _on_device_of(packed):
        _dequantise[(triton.cdiv(packed.numel(), PACKED_BYTES),)](
            packed, state.code, *scales, out, packed.numel(), BYTES_A_SCALE=state.blocksize // 2,
            SCALES_A_SCALE=nested.blocksize if nested else 1, NESTED=nested is not None, BLOCK=PACKED_BYTES, num_warps=4,
        )  # fmt: skip


def launch_softmax_loss(logits_CV: Tensor, labels_C: Tensor, loss_C: Tensor) -> None:
    """Fill ``loss_C`` and change ``logits_CV``; see `fused.softmax_loss`."""
    rows, vocabulary = logits_CV.shape
    with _on_device_of(logits_CV):
        _softmax_loss[(rows,)](logits_CV, labels_C, loss_C, vocabulary, BLOCK=LOGITS, num_warps=16)


def _norm_shape(x: Tensor, rotation: Rotation) -> tuple[int, int, dict[str, int | bool]]:
    """Rows, heads of a token, and how a program is cut."""
    width = x.shape[-1]
    block = triton.next_power_of_2(width)
    shape = {
        "WIDTH": width,
        "BLOCK": block,
        "ROWS": max(1, NORM_ELEMENTS // block),
        "ROTATES": rotation is not None,
        "num_warps": 8,
    }
    return x.numel() // width, x.shape[-2] if rotation is not None else 1, shape


def _on_device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device; changing it takes longer than a launch."""
    same = tensor.device.type != "cuda" or tensor.device.index == torch.cuda.current_device()
    return _NOTHING if same else torch.cuda.device_of(tensor)
