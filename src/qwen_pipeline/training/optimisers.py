"""Optimisers and schedulers by the names of transformers."""

import logging
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_scheduler

from qwen_pipeline.errors import ParameterError
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


def build_scheduler(parameters: TrainParameters, optimiser: torch.optim.Optimizer, steps: int) -> LRScheduler:
    """Make the scheduler that ``lr_scheduler_type`` names.

    Args:
        parameters: ``lr_scheduler_*`` and ``warmup_*``.
        optimiser: What it drives.
        steps: Optimiser steps of the training.

    Raises:
        ParameterError: ``lr_scheduler_kwargs`` has an option that this scheduler does not take.
    """
    warmup = parameters.warmup_steps or int(steps * parameters.warmup_ratio)
    try:
        scheduler: LRScheduler = get_scheduler(
            parameters.lr_scheduler_type,
            optimiser,
            num_warmup_steps=warmup,
            num_training_steps=steps,
            scheduler_specific_kwargs=parameters.lr_scheduler_kwargs or None,
        )
    except (TypeError, ValueError) as failure:
        raise ParameterError(
            f"lr_scheduler_kwargs={parameters.lr_scheduler_kwargs} does not suit "
            f"lr_scheduler_type={parameters.lr_scheduler_type}: {failure}."
        ) from failure
    return scheduler
