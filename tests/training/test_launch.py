"""A training in two processes ends as one in a single process does, whatever happens to one of them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.errors import OutOfMemoryError, PipelineError, TrainingInterruptedError, WorkerError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.store import open_client
from qwen_pipeline.training.launch import run_in_processes
from qwen_pipeline.training.session import train_tracked
from training import ranks_at_work
from training.tiny_training import SETTINGS, make_rows, make_trainer

pytestmark = pytest.mark.slow

WITHOUT_DROPOUT: dict[str, Any] = {"lora_dropout": 0.0}


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The training to which nothing happens."""
    made: dict[str, Any] = run_in_processes(2, ranks_at_work.train, tiny, tmp_path_factory.mktemp("whole"))
    return made


@pytest.fixture(scope="module")
def of_one(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The training in one process, without dropout, whose masks depend on how a step is split."""
    settings = ranks_at_work.SETTINGS | WITHOUT_DROPOUT | {"num_processes": 1}
    folder = tmp_path_factory.mktemp("one")
    return make_trainer(tiny, folder, ranks_at_work.ROWS, ranks_at_work.VALIDATION, **settings).run()


@pytest.mark.parametrize(
    ("event", "recoveries"), [("nothing", []), ("full once", ["split"]), ("full in the update", ["retry"])]
)
def test_two_processes_train_what_one_does(
    tiny: Path, tmp_path: Path, of_one: dict[str, Any], event: str, recoveries: list[str]
) -> None:
    two = run_in_processes(2, partial(ranks_at_work.train, **WITHOUT_DROPOUT), tiny, tmp_path, event)
    assert len(two["adapters"]) == 1
    assert two["losses"] == pytest.approx(of_one["losses"], rel=1e-5)
    assert two["gradient_norms"] == pytest.approx(of_one["gradient_norms"], rel=1e-4)
    validation, expected = ([v["loss"] for v in report["validation"]] for report in (two, of_one))
    assert validation == pytest.approx(expected, rel=1e-5)
    assert (two["tokens"], two["trained_tokens"]) == (of_one["tokens"], of_one["trained_tokens"])
    (other,) = two["memory"]["other_processes"]
    assert other["measured"]["host_resident_gib"] > 0
    assert [found["action"] for found in other["out_of_memory"]] == recoveries


@pytest.mark.parametrize(
    ("event", "error", "told"),
    [
        ("asked", TrainingInterruptedError, "SIGTERM after step 3 of 12; checkpoint-3 is saved"),
        ("killed", WorkerError, "Process 2 of 2 of the training ended by SIGKILL"),
        ("full", OutOfMemoryError, "checkpoint-2 is saved, after step 2 of 12"),
    ],
)
def test_one_that_was_stopped_goes_on_to_the_same_bytes(
    tiny: Path, tmp_path: Path, undisturbed: dict[str, Any], event: str, error: type[PipelineError], told: str
) -> None:
    with pytest.raises(error, match=told):
        run_in_processes(2, ranks_at_work.train, tiny, tmp_path, event)
    resumed = run_in_processes(2, ranks_at_work.train, tiny, tmp_path)
    assert [found["kind"] for found in resumed["events"]] == ["resumed"]
    assert resumed["adapter"] == undisturbed["adapter"]
    assert resumed["losses"] == undisturbed["losses"]


def test_a_defect_in_one_is_told_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a defect") as raised:
        run_in_processes(2, ranks_at_work.raise_in_the_second)
    assert "In process 2 of 2" in raised.value.__notes__[0]
    assert "raise_in_the_second" in raised.value.__notes__[0]


def test_where_the_run_is_killed_its_processes_end(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from qwen_pipeline.training.launch import run_in_processes\n"
        "from training.ranks_at_work import wait_forever; run_in_processes(2, wait_forever, Path(sys.argv[1]))"
    )
    path = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    pids = [int(path.name) for path in _until(lambda: list(tmp_path.iterdir()), 2)]
    run.send_signal(signal.SIGKILL)
    run.wait()
    _until(lambda: [pid for pid in pids if not Path(f"/proc/{pid}").exists()], 2)


def _until(found: Any, count: int) -> list[Any]:
    """What is found when there are enough of it; fails after a minute."""
    deadline = time.monotonic() + 60
    while len(things := found()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return list(things)


def test_two_processes_are_one_training_with_one_run(
    tiny: Path, tmp_path: Path, tracking_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = TrainParameters(**SETTINGS, num_processes=2, max_memory_gb=64)
    with caplog.at_level("INFO", logger="qwen_pipeline"):
        adapter, report = train_tracked(
            make_rows(12), [], ModelSource(str(tiny)), parameters, {}, tmp_path / "checkpoints", tmp_path
        )
    assert (adapter / "adapter_model.safetensors").is_file()
    (run,) = open_client().search_runs([found.experiment_id for found in open_client().search_experiments()])
    assert run.info.run_id == report["mlflow_run_id"]
    assert run.info.status == "FINISHED"
    assert len(open_client().get_metric_history(run.info.run_id, "loss")) == report["steps"] == 6
    assert sum("optimiser steps over" in message for message in caplog.messages) == 1
