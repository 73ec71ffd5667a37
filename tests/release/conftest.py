"""A tiny base model, an adapter that changes its answers, and rows to compare them on."""

from pathlib import Path

import pytest

from model.tiny_model import write_tiny_model
from release.tiny_export import write_tiny_adapter


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("release") / "base")


@pytest.fixture(scope="session")
def adapter_folder(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_adapter(base_folder, tmp_path_factory.mktemp("release") / "adapter")
