"""A copy of this project, as a fresh clone has it, and how to run Kedro in it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
COPIED = (
    "conf",
    "src",
    "main.py",
    "pyproject.toml",
    "requirements.in",
    "requirements.lock",
    "requirements-torch.txt",
)


@dataclass(frozen=True)
class FinishedProject:
    """A project folder after its default run; ``seconds`` is the wall time of that run."""

    path: Path
    seconds: float
    output: str

    def newest(self, *parts: str) -> Path:
        """The newest version of a dataset, as in ``newest("03_primary", "clean_examples.parquet")``."""
        folder = self.path.joinpath("data", *parts)
        versions = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return versions[-1] / parts[-1]

    @property
    def tracking_uri(self) -> str:
        """Its MLflow store."""
        return f"sqlite:///{self.path / 'mlflow.db'}"

    def kedro(
        self, *arguments: str, check: bool = True, tracking_uri: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a Kedro command in the project; stdout and stderr together."""
        return run_kedro(self.path, *arguments, check=check, tracking_uri=tracking_uri)


def run_kedro(
    project: Path, *arguments: str, check: bool = True, tracking_uri: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200", "DO_NOT_TRACK": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = tracking_uri
    done = subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    if check:
        assert done.returncode == 0, done.stdout
    return done


def copy_project(target: Path) -> Path:
    """A fresh clone's files, without git: code, configuration and the bundled samples."""
    target.mkdir(parents=True)
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
        else:
            shutil.copy2(source, target / name)
    (target / "conf/local").mkdir(exist_ok=True)
    shutil.copy2(PROJECT / ".telemetry", target / ".telemetry")
    shutil.copytree(PROJECT / "data/sample", target / "data/sample")
    return target
