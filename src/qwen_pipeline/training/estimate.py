"""How long a training will take, told before its first step."""

import time

import torch
from torch import nn

PROBE_SECONDS = 0.1
FORWARD, BACKWARD = 1.0, 1.0  # products of a frozen layer: its output, and the gradient of its input


def estimate_seconds(
    model: nn.Module, tokens: int, recomputed_share: float, device: torch.device, dtype: torch.dtype
) -> float:
    """Seconds of all forwards and backwards, from the products they need and this machine's rate of them.

    Args:
        model: Its linear layers are counted, adapters included.
        tokens: Tokens that go through it in the whole training.
        recomputed_share: Share of the layers that are computed twice.
        device: Where the products run.
        dtype: Their dtype.
    """
    weights = sum(
        module.in_features * module.out_features
        for module in model.modules()
        if isinstance(module, nn.Linear) and not module.weight.requires_grad
    )
    operations = 2.0 * weights * tokens * (FORWARD + BACKWARD + recomputed_share)
    return operations / measure_products(device, dtype)


def measure_products(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of square matrix products, as measured now."""
    size = 4096 if device.type == "cuda" else 512
    left, right = (
        torch.ones(size, size, device=device, dtype=dtype) for _ in range(2)
    )  # draws no random number
    _finish(left @ right, device)
    rounds, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < PROBE_SECONDS:
        _finish(left @ right, device)
        rounds += 1
    return 2.0 * size**3 * rounds / passed


def _finish(product: torch.Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(product.device)
