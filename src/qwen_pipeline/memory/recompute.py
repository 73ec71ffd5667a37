"""A layer that keeps its input alone and is computed again in backward, as one node of the graph.

`torch.utils.checkpoint` calls Python three times for every tensor that a layer saves, in forward, again and in backward: for a decoder
layer as many calls as its products. Here forward saves nothing but the input, and backward is a forward with a backward behind it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake
from torch.autograd.function import once_differentiable
from torch.autograd.graph import get_gradient_edge
from torch.utils.checkpoint import get_device_states, set_device_states

Context = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Recomputation:
    """How a layer is computed again.

    Attributes:
        again: Entered while it is, beside autocast as it was.
        draws: The layer has dropout, and must draw again what it drew.
        offload: Its input waits on the host.
    """

    again: Context
    draws: bool
    offload: bool

    def __call__(self, function: Callable[..., Tensor], hidden: Tensor, **others: Any) -> Tensor:
        """Run a layer.

        Args:
            function: The layer.
            hidden: Its input, the only tensor among its arguments that may want a gradient.
            **others: Its other arguments.

        Returns:
            What the layer gives.
        """
        run = partial(function, **others)
        if not torch.is_grad_enabled():
            return run(hidden)
        # autograd makes no node for a first layer, whose input wants no gradient, though its adapters do
        wants_gradient = torch.empty(0, requires_grad=True)
        return cast(Tensor, _Recomputed.apply(self, run, wants_gradient, hidden))  # type: ignore[no-untyped-call]


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, how: Recomputation, run: Callable[[Tensor], Tensor], wants_gradient: Tensor, hidden: Tensor
    ) -> Tensor:
        ctx.how, ctx.run = how, run
        device = hidden.device.type
        ctx.autocast = partial(
            torch.autocast, device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        )
        ctx.random = (torch.get_rng_state(), *get_device_states(hidden)) if how.draws else None
        ctx.waiting = _to_host(hidden) if how.offload else None
        ctx.save_for_backward(*() if how.offload else (hidden,))
        return run(hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        hidden = _to_device(ctx.waiting) if ctx.how.offload else ctx.saved_tensors[0]
        ctx.waiting = None
        hidden = hidden.detach().requires_grad_(ctx.needs_input_grad[3])
        with torch.enable_grad(), ctx.autocast(), ctx.how.again():
            out = _drawing_again(ctx.run, hidden, ctx.random)
        edge = get_gradient_edge(out)
        del out  # nobody reads it
        torch.autograd.backward([edge], [grad_out])
        return None, None, None, hidden.grad


def _drawing_again(run: Callable[[Tensor], Tensor], hidden: Tensor, states: tuple[Any, ...] | None) -> Tensor:
    if states is None:
        return run(hidden)
    host, devices, on_devices = states
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(host)
        set_device_states(devices, on_devices)
        return run(hidden)


def _to_host(tensor: Tensor) -> tuple[torch.device, Tensor | Callable[[], Tensor]]:
    """Copy to pinned memory on the current stream; the copy is read only by a later copy on that stream."""
    if is_fake(tensor):  # In a memory plan: it is gone from the device until it is wanted again.
        return tensor.device, partial(torch.empty, tensor.shape, dtype=tensor.dtype, device=tensor.device)
    if tensor.device.type != "cuda":
        return tensor.device, tensor.detach()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    return tensor.device, host


def _to_device(packed: tuple[torch.device, Tensor | Callable[[], Tensor]]) -> Tensor:
    device, waiting = packed
    return waiting.to(device, non_blocking=True) if isinstance(waiting, Tensor) else waiting()
