"""Dtype of the products, decided once."""

import torch

from qwen_pipeline.model.device import half_precision
from qwen_pipeline.params.train import TrainParameters


def compute_dtype_for(parameters: TrainParameters, device: torch.device) -> torch.dtype:
    """Dtype of the products: as the parameters say, float16 with loss scaling on a card that has no bfloat16."""
    if parameters.fp16:
        return torch.float16
    return half_precision(device) if parameters.bf16 else torch.float32
