"""Dtype of the products, decided once."""

import torch

from qwen_pipeline.model.device import fast_dtype
from qwen_pipeline.params.train import TrainParameters


def compute_dtype_for(parameters: TrainParameters, device: torch.device) -> torch.dtype:
    """Dtype of the products: as the parameters say, and where the hardware has no bfloat16 what is fast there."""
    if parameters.fp16:
        return torch.float16
    return fast_dtype(device.type) if parameters.bf16 else torch.float32
