"""One finished project for all end-to-end tests: a copy of this one, run once with its defaults."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.project import FinishedProject, copy_project, run_kedro


@pytest.fixture(scope="session")
def fresh_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which nothing has run."""
    return copy_project(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedProject]:
    """A project after `kedro run` with nothing but the defaults."""
    path = copy_project(tmp_path_factory.mktemp("finished") / "project")
    start = time.monotonic()
    done = run_kedro(path, "run")
    yield FinishedProject(path, time.monotonic() - start, done.stdout)


@pytest.fixture(scope="session")
def debug_run(finished_project: FinishedProject, tmp_path_factory: pytest.TempPathFactory) -> FinishedProject:
    """A project after the guide's quick look alone; its training is in the finished project's MLflow store."""
    folder = tmp_path_factory.mktemp("debug")
    project = FinishedProject(copy_project(folder / "project"), 0.0, "")  # the demo is built by now
    options = "num_epochs=1,batch_size=1,max_sequence_length=64,enable_memory_profiling=true"
    places = f"checkpoint_dir={folder / 'checkpoints'},save_strategy=steps,save_steps=100"
    project.kedro(
        "run",
        "--pipeline",
        "train",
        "--params",
        f"{options},{places}",
        tracking_uri=finished_project.tracking_uri,
    )
    return project
