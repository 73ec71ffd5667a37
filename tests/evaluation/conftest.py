"""The tiny model of the model tests, with its tokenizer, loaded as evaluation loads it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.tiny_model import write_tiny_model
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Model and tokenizer."""
    torch.set_num_threads(1)
    directory: Path = write_tiny_model(tmp_path_factory.mktemp("evaluated") / "model")
    source = ModelSource(str(directory))
    model = load_quantized_model(
        source, compute_dtype=torch.float32, device="cpu", attn_implementation=register_packed_attention()
    )
    return model, load_tokenizer(source, padding_side="left")
