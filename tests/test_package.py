"""The package on its own, as `kedro package` makes it."""

import subprocess
import sys
from pathlib import Path


def test_the_package_alone_says_what_it_lacks(project_dir: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qwen_pipeline", "--conf-source=conf.tar.gz"],
        cwd=tmp_path, env={"PYTHONPATH": str(project_dir / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        done.stderr.startswith("The package qwen_pipeline holds code only") and done.stderr.count("\n") == 1
    )
