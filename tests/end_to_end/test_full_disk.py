"""A run on a disk that is too small: one sentence, no traceback, and what was saved before stays (S9)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.project import copy_project

pytestmark = pytest.mark.slow
# The project's data on a file system of so many KiB, in a namespace of its own: nothing to clean up, no right needed.
MOUNTED = """
cp -r data/sample samples && mount -t tmpfs -o size="$1"k tmpfs data && cp -r samples data/sample && shift && exec "$@"
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def may_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    mount = [*NAMESPACE, f"mount -t tmpfs -o size=64k tmpfs '{folder}'"]
    return subprocess.run(mount, capture_output=True).returncode == 0


@pytest.mark.parametrize("kib", [80, 280])
def test_a_full_disk_is_one_sentence_wherever_it_is_met(kib: int, tmp_path: Path) -> None:
    """With 80 KiB nothing fits, with 280 all but the last records of the ledger."""
    if not may_mount(tmp_path):
        pytest.skip(
            "this machine lets nobody mount a small file system; tests/commands/test_failures.py stands in"
        )
    project = copy_project(tmp_path / "project")
    kedro = [sys.executable, "-m", "kedro", "run", "--pipeline", "clean"]
    done = subprocess.run(
        [*NAMESPACE, MOUNTED, "sh", str(kib), *kedro],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200", "DO_NOT_TRACK": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert "No space left on device" in last
    assert "Make room" in last
