"""Dtype of the products, decided once."""

import logging

import torch

from qwen_pipeline.params.train import TrainParameters

logger = logging.getLogger(__name__)


def compute_dtype_for(parameters: TrainParameters, device: torch.device) -> torch.dtype:
    """Dtype of the products: as the parameters say, float16 on a card that has no bfloat16."""
    if parameters.fp16:
        return torch.float16
    if not parameters.bf16:
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        logger.warning("This card has no bfloat16; the run computes in float16 with loss scaling.")
        return torch.float16
    return torch.bfloat16
