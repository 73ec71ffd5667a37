"""The demo's kind of tokenizer, and the real one where it is at hand."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from model.tiny_model import TEXTS, TINY
from qwen_pipeline.model.demo_tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, TINY)


@pytest.fixture(scope="session")
def real_tokenizer(shared_dir: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(shared_dir / "qwen3-4b-thinking-2507")
