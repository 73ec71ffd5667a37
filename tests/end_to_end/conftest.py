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
