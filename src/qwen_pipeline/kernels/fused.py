"""Norm, rotary position, SwiGLU, 4-bit weights and softmax in one pass over memory each, where the device has the kernels.

A card reaches its matrix rate in the products alone; what lies between them is limited by memory, and plain PyTorch goes through memory
once for each operation. `kernels_run` says whether the kernels take a tensor; elsewhere, on processors and on cards without Triton, the
same formulas run in PyTorch. In a memory plan the kernels allocate what they would and compute nothing. None of it is differentiable by
itself: the layers of `model` put these pieces together.

Shapes: R rows, W their width; B batches, T tokens, H heads, D head width; I inputs, O outputs; C rows of logits, V vocabulary.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import silu

silu_backward = torch.ops.aten.silu_backward

logger = logging.getLogger(__name__)

# Where a memory plan's tensors would lie, and whether the kernels run there.
_planned: ContextVar[tuple[str, bool] | None] = ContextVar("planned", default=None)


@contextmanager
def planned_on(device_type: str, kernels: bool = True) -> Iterator[None]:
    """Compute as on that device while the block runs: a plan's tensors lie on no card.

    Args:
        device_type: ``cuda`` or ``cpu``.
        kernels: Whether they run there, if it is a card.
    """
    token = _planned.set((device_type, kernels))
    try:
        yield
    finally:
        _planned.reset(token)


def device_type_of(tensor: Tensor) -> str:
    """Where a tensor lies, or would lie, in a memory plan."""
    planned = _planned.get()
    return planned[0] if planned else tensor.device.type


def kernels_run(tensor: Tensor) -> bool:
    """Whether the kernels take a tensor: it is on a card with Triton, or planned on one."""
    if tensor.is_cuda:
        return _kernels_work(tensor.device)
    return isinstance(tensor, FakeTensor) and _planned.get() == ("cuda", True)


@cache
def _kernels_work(device: torch.device) -> bool:
    """Try one of them, and a product in 16 bits that comes out in 32: Triton may be missing, or the C compiler that it needs."""
    try:
        x, weight = (torch.ones(shape, device=device) for shape in ((2, 16), (16,)))
        _norm(x, weight, 1e-6, None)
        half = torch.ones(16, 16, device=device, dtype=torch.float16)
        torch.mm(half, half, out_dtype=torch.float32)
    except Exception as error:  # whatever it is, training goes on without them
        first = (str(error).splitlines() or [""])[0]
        logger.warning(
            "Triton's kernels do not run here (%s: %s); training uses PyTorch's own operations and takes longer. "
            "They need the package triton, a C compiler and Python's headers (on Debian gcc and python3-dev).",
            type(error).__name__,
            first,
        )
        return False
    return True


def norm(x: Tensor, weight_W: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """RMSNorm over the last dimension, with transformers' own roundings.

    Args:
        x: ``[..., W]``.
        weight_W: The norm's weight.
        eps: The norm's epsilon.

    Returns:
        The output, of the shape and dtype of ``x``, and ``1 / rms`` of each row in float32, for `norm_backward`.
    """
    if kernels_run(x):
        return _norm(x, weight_W, eps, None)
    wide = x.float()
    inverse = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return weight_W * (wide * inverse).to(x.dtype), inverse


def norm_backward(grad_out: Tensor, x: Tensor, weight_W: Tensor, inverse: Tensor) -> Tensor:
    """The gradient of `norm` for its input."""
    if kernels_run(x):
        return _norm_backward(grad_out, x, weight_W, inverse, None)
    wide, grad = x.float(), (grad_out * weight_W).float()
    shared = (grad * wide).mean(-1, keepdim=True) * inverse.pow(3)
    return grad.mul_(inverse).addcmul_(wide, shared, value=-1).to(x.dtype)


def norm_and_turn(
    x: Tensor, weight_D: Tensor, eps: float, rotation: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """`norm`, then the rotation of a rotary position.

    Args:
        x: ``[B, T, H, D]``.
        weight_D: The norm's weight.
        eps: The norm's epsilon.
        rotation: Cosines and sines, ``[B or 1, T, D]`` each, the second half of D as the first.
    """
    if kernels_run(x):
        return _norm(x, weight_D, eps, rotation)
    out, inverse = norm(x, weight_D, eps)
    cos, sin = (part.unsqueeze(2) for part in rotation)
    first, second = out.chunk(2, dim=-1)
    return out * cos + torch.cat((-second, first), dim=-1) * sin, inverse


def norm_and_turn_backward(
    grad_out: Tensor, x: Tensor, weight_D: Tensor, inverse: Tensor, rotation: tuple[Tensor, Tensor]
) -> Tensor:
    """The gradient of `norm_and_turn` for its input."""
    if kernels_run(x):
        return _norm_backward(grad_out, x, weight_D, inverse, rotation)
    cos, sin = (part.unsqueeze(2) for part in rotation)
    first, second = (grad_out * sin).chunk(2, dim=-1)
    return norm_backward(grad_out * cos + torch.cat((second, -first), dim=-1), x, weight_D, inverse)


def gated(gate: Tensor, x: Tensor) -> Tensor:
    """``silu(gate) * x``, elementwise."""
    if not kernels_run(x):
        return silu(gate).mul_(x)
    out = torch.empty_like(x)
    if not isinstance(x, FakeTensor):
        _triton().launch_gated(gate, x, out)
    return out


def gated_backward(grad: Tensor, gate: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `gated` for gate and ``x``; ``grad`` is used up."""
    if not kernels_run(x):
        grad_x = silu(gate).mul_(grad)
        return silu_backward(grad.mul_(x), gate), grad_x
    grad_gate = torch.empty_like(gate)
    if not isinstance(x, FakeTensor):
        _triton().launch_gated_backward(grad, gate, x, grad_gate)
    return grad_gate, grad


def dequantise(packed: Tensor, state: Any, like: Tensor) -> Tensor:
    """4-bit weights as bitsandbytes packs them, ``[O, I]``; scales of scales are undone in the same pass.

    Args:
        packed: Two weights a byte.
        state: bitsandbytes' ``QuantState`` of a matrix.
        like: Its dtype is the result's, its device says who computes.
    """
    if packed.dtype != torch.uint8 or not kernels_run(like):
        weight_OI: Tensor = bnb.functional.dequantize_4bit(packed, state).to(like.dtype)
        return weight_OI
    out = torch.empty(state.shape, dtype=like.dtype, device=packed.device)
    if not isinstance(packed, FakeTensor):
        _triton().launch_dequantise(packed, state, out)
    return out


def weight_gradient(grad_TO: Tensor, x_TI: Tensor, dtype: torch.dtype) -> Tensor:
    """``gradᵀ x``, ``[O, I]`` in ``dtype``; a card that adds up in float32 need not round before."""
    if dtype == torch.float32 and grad_TO.dtype != dtype and kernels_run(grad_TO):
        return torch.mm(grad_TO.t(), x_TI, out_dtype=dtype)
    return (grad_TO.t() @ x_TI).to(dtype)


def softmax_loss(logits_CV: Tensor, labels_C: Tensor) -> Tensor:
    """Negative log-likelihoods of the labels, ``[C]`` float32; the logits become their gradient. Only where `kernels_run`."""
    loss_C = logits_CV.new_empty(logits_CV.shape[0], dtype=torch.float32)
    if not isinstance(logits_CV, FakeTensor):
        _triton().launch_softmax_loss(logits_CV, labels_C, loss_C)
    return loss_C


def _norm(
    x: Tensor, weight_W: Tensor, eps: float, rotation: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    out, inverse_R = torch.empty_like(x), x.new_empty(x.numel() // x.shape[-1], dtype=torch.float32)
    if not isinstance(x, FakeTensor):
        _triton().launch_norm(x, weight_W, eps, _by_token(x, rotation), out, inverse_R)
    return out, inverse_R


def _norm_backward(
    grad_out: Tensor, x: Tensor, weight_W: Tensor, inverse_R: Tensor, rotation: tuple[Tensor, Tensor] | None
) -> Tensor:
    x, grad_out = x.contiguous(), grad_out.contiguous()
    grad = torch.empty_like(x)
    if not isinstance(x, FakeTensor):
        _triton().launch_norm_backward(grad_out, x, weight_W, inverse_R, _by_token(x, rotation), grad)
    return grad


def _by_token(x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
    """Cosines and sines of every token of every batch, end to end."""
    if rotation is None:
        return None
    cos, sin = (part.expand(x.shape[0], -1, -1).contiguous() for part in rotation)
    return cos, sin


def _triton() -> Any:
    """The module that needs Triton."""
    from qwen_pipeline.kernels import triton_kernels

    return triton_kernels
