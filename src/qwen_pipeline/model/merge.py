"""Adapters folded into 16-bit weights."""

from pathlib import Path
from typing import Any

import torch

from qwen_pipeline.model.load import load_plain_model
from qwen_pipeline.model.lora import load_adapter
from qwen_pipeline.model.source import ModelSource


def merge_adapter(source: ModelSource, adapter: Path, dtype: torch.dtype = torch.bfloat16) -> Any:
    """Add the adapter to the 16-bit base, in float32, and round once.

    Args:
        source: The base model.
        adapter: The adapter's folder.
        dtype: Type of the merged weights.
    """
    base = load_plain_model(source, dtype=torch.float32)
    return load_adapter(base, adapter).merge_and_unload().to(dtype)
