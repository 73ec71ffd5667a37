"""Optimisers by the names of transformers."""

import logging
from collections.abc import Iterable

import torch
from torch import nn

from qwen_pipeline.params.train import TrainParameters

logger = logging.getLogger(__name__)


def build_optimiser(parameters: TrainParameters, trained: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimiser that ``optim`` names.

    Args:
        parameters: ``optim``, ``learning_rate``, ``weight_decay`` and ``adam_*``.
        trained: The adapters, float32.
    """
    weights = list(trained)
    rate, decay, epsilon = parameters.learning_rate, parameters.weight_decay, parameters.adam_epsilon
    betas = (parameters.adam_beta1, parameters.adam_beta2)
    if parameters.optim == "adamw_torch":
        return torch.optim.AdamW(weights, lr=rate, betas=betas, eps=epsilon, weight_decay=decay)
    import bitsandbytes

    paged = parameters.optim.startswith("paged")
    if paged and not torch.cuda.is_available():
        logger.info(
            "optim=%s: there is no paging without CUDA; its state stays in host memory.", parameters.optim
        )
        paged = False
    kind = (
        bitsandbytes.optim.AdamW8bit if parameters.optim.endswith("8bit") else bitsandbytes.optim.AdamW32bit
    )
    optimiser: torch.optim.Optimizer = kind(
        weights, lr=rate, betas=betas, eps=epsilon, weight_decay=decay, is_paged=paged
    )
    return optimiser
