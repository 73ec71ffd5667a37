"""Killed anywhere, a training goes on to the very same adapter."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_training.py")


def train(model: Path, folder: Path, out: Path, *kill: str) -> int:
    command = [sys.executable, str(SCRIPT), str(model), str(folder), str(out), *kill]
    return subprocess.run(command, capture_output=True, timeout=300).returncode


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    out = folder / "adapter"
    assert train(tiny, folder / "checkpoints", out) == 0
    return out.read_bytes(), out.with_suffix(".losses").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [("step", "1"), ("step", "6"), ("save", "1"), ("save", "4")])
def test_a_killed_training_ends_with_the_same_bytes(
    tiny: Path, tmp_path: Path, undisturbed: tuple[bytes, str], kill: tuple[str, str]
) -> None:
    out = tmp_path / "adapter"
    assert train(tiny, tmp_path / "checkpoints", out, *kill) == -9
    assert not out.exists()
    assert train(tiny, tmp_path / "checkpoints", out) == 0
    assert out.read_bytes() == undisturbed[0]
    assert out.with_suffix(".losses").read_text() == undisturbed[1]
    assert not list((tmp_path / "checkpoints").glob(".partial-*"))


@pytest.mark.slow
def test_a_training_killed_before_it_is_published_takes_no_step_again(
    tiny: Path, tmp_path: Path, undisturbed: tuple[bytes, str]
) -> None:
    out = tmp_path / "adapter"
    assert train(tiny, tmp_path / "checkpoints", out, "publish") == -9
    assert not out.exists()
    assert train(tiny, tmp_path / "checkpoints", out) == 0
    assert out.read_bytes() == undisturbed[0]
    assert out.with_suffix(".losses").read_text() == undisturbed[1]
    assert out.with_suffix(".steps").read_text() == "0"


@pytest.mark.slow
def test_a_training_killed_twice_ends_with_the_same_bytes(
    tiny: Path, tmp_path: Path, undisturbed: tuple[bytes, str]
) -> None:
    out = tmp_path / "adapter"
    for kill in (("step", "4"), ("save", "2")):
        assert train(tiny, tmp_path / "checkpoints", out, *kill) == -9
    assert train(tiny, tmp_path / "checkpoints", out) == 0
    assert out.read_bytes() == undisturbed[0]
