"""Fixtures that every test may use, and one OpenMP thread for all of them.

The models of the tests are tiny: two threads that spin while they wait are up to 40 times slower on a busy machine.
"""

import gc
import os
from pathlib import Path

import pytest

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported, and for every process that a test starts

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """The root of this project."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real-world data beside the checkout; tests that need it skip without it."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder shared/ is not beside this checkout")
    return folder


def pytest_collection_finish() -> None:
    """Leave what the tests' imports have made out of every later search for garbage, which running out of memory begins."""
    gc.collect()
    gc.freeze()
