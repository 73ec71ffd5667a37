"""Optimisers by the names of transformers."""

import logging
from typing import Any

import torch
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer

from qwen_pipeline.params.train import TrainParameters

logger = logging.getLogger(__name__)


def build_optimiser(parameters: TrainParameters, model: PeftModel) -> torch.optim.Optimizer:
    """Make the optimiser that ``optim`` names, over the adapters of a model.

    Args:
        parameters: ``optim``, ``learning_rate``, ``loraplus_lr_ratio``, ``weight_decay`` and ``adam_*``.
        model: With adapters in float32.
    """
    kind, options = _kind_of(parameters.optim)
    options |= {
        "lr": parameters.learning_rate,
        "betas": (parameters.adam_beta1, parameters.adam_beta2),
        "eps": parameters.adam_epsilon,
    }
    decay = parameters.weight_decay
    if parameters.loraplus_lr_ratio is None:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        plain: torch.optim.Optimizer = kind(trained, weight_decay=decay, **options)
        return plain
    two_rates: torch.optim.Optimizer = create_loraplus_optimizer(
        model, kind, loraplus_lr_ratio=parameters.loraplus_lr_ratio, loraplus_weight_decay=decay, **options
    )
    return two_rates


def _kind_of(optim: str) -> tuple[Any, dict[str, Any]]:
    """The class that a name stands for, and its own options."""
    if optim in ("adamw_torch", "adamw_torch_fused"):
        return torch.optim.AdamW, {"fused": True} if optim.endswith("fused") else {}
    import bitsandbytes

    paged = optim.startswith("paged")
    if paged and not torch.cuda.is_available():
        logger.info("optim=%s: there is no paging without CUDA; its state stays in host memory.", optim)
        paged = False
    kind = bitsandbytes.optim.AdamW8bit if optim.endswith("8bit") else bitsandbytes.optim.AdamW32bit
    return kind, {"is_paged": paged}
