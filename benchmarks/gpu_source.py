"""Finds this project's package where it is not installed: a bare machine has the checkout alone."""

import importlib.util
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


def find_package() -> None:
    """Let ``import qwen_pipeline`` find the checkout's package where none is installed."""
    if importlib.util.find_spec("qwen_pipeline") is None:
        sys.path.insert(0, str(SOURCE))
