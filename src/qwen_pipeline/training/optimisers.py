"""Optimisers by the guide's names."""

import logging
from collections.abc import Iterable

import torch
from torch import nn

logger = logging.getLogger(__name__)


def build_optimiser(
    name: str, parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Make the optimiser called ``name``.

    Args:
        name: ``adamw_torch``, ``adamw_8bit`` or ``paged_adamw_8bit``.
        parameters: The adapters, float32.
        learning_rate: Peak rate.
        weight_decay: Decoupled weight decay.
    """
    trained = list(parameters)
    if name == "adamw_torch":
        return torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay)
    import bitsandbytes

    paged = name.startswith("paged")
    if paged and not torch.cuda.is_available():
        logger.info("%s: there is no paging without CUDA; the 8-bit state stays in host memory.", name)
        paged = False
    optimiser: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(
        trained, lr=learning_rate, weight_decay=weight_decay, is_paged=paged
    )
    return optimiser
