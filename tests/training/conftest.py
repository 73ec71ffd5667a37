"""The tiny base model that all tests of the loop train on."""

from pathlib import Path

import pytest

from model.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Qwen3 with random weights."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
