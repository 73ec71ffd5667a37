"""Fixtures that every test may use, and one OpenMP thread for all of them.

The models of the tests are tiny: two threads that spin while they wait are up to 40 times slower on a busy machine.
"""

import gc
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# before torch is imported, and for every process that a test starts
os.environ.setdefault("OMP_NUM_THREADS", "1")

# how long an example takes says how busy the machine is
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """The root of this project."""
    return PROJECT


@pytest.fixture(autouse=True, scope="session")
def hears_ctrl_c() -> None:
    """A shell lets what it starts in the background ignore SIGINT; the tests, and what they start, are to hear it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_project_open() -> None:
    """A test outside of a project knows nothing of one that a test before it opened."""
    from qwen_pipeline.incremental import workspace

    workspace._opened.clear()


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real-world data beside the checkout; tests that need it skip without it."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder shared/ is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow without a run: to make its tables takes seconds."""
    from qwen_pipeline.tracking.store import default_tracking_uri, open_client

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", default_tracking_uri(folder))
        open_client().search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def tracking_store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, in force."""
    from qwen_pipeline.tracking.store import default_tracking_uri

    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_tracking_uri(tmp_path))
    return Path(shutil.copy(empty_store, tmp_path))


class OneProcessPerFile(LoadScopeScheduling):
    """Tests of one file, and all that use a finished project, stay in one process: what they share is made once.

    ``--dist loadgroup`` would do it by marks, and groups nothing with pytest 9.2 and pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "end_to_end" if "end_to_end/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessPerFile:
    """Read by pytest-xdist, which gives the tests to its processes."""
    return OneProcessPerFile(config, log)


def pytest_collection_finish() -> None:
    """Leave what the tests' imports have made out of every later search for garbage, which running out of memory begins."""
    gc.collect()
    gc.freeze()
