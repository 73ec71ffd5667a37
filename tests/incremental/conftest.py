"""A toy project that has run once."""

import os
import sys
from pathlib import Path

import pytest

from incremental.toy import Toy


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy, in which nothing has run; the working directory is its root."""
    toy = Toy(tmp_path / "project")
    monkeypatch.chdir(toy.root)
    monkeypatch.syspath_prepend(str(toy.root / "src"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second must both count
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a busy disk would make minutes of seconds
    return toy


@pytest.fixture
def toy(fresh: Toy) -> Toy:
    """The toy after its first run."""
    assert fresh.run() == ["read", "refine", "report"]
    assert fresh.run() == []
    return fresh
