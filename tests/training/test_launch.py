"""A training in two processes ends as one in a single process does, whatever happens to one of them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from qwen_pipeline.errors import OutOfMemoryError, PipelineError, TrainingInterruptedError, WorkerError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.store import open_client
from qwen_pipeline.training.launch import run_in_processes
from qwen_pipeline.training.session import train_tracked
from training import ranks_at_work
from training.tiny_training import SETTINGS, make_rows

pytestmark = pytest.mark.slow


def test_two_processes_train_what_one_does_although_memory_runs_out_in_one(
    tiny: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"lora_dropout": 0.0}  # its masks depend on how a step is split
    single = ranks_at_work.make(tiny, tmp_path / "one", num_processes=1, **settings)
    gradient, one = ranks_at_work.first_gradient(single), single.run()
    two = run_in_processes(2, partial(ranks_at_work.train, **settings), tiny, tmp_path / "two", "full twice")
    assert float((two["gradient"] - gradient).norm() / gradient.norm()) <= 1e-5
    assert len(two["adapters"]) == 1
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert two["gradient_norms"] == pytest.approx(one["gradient_norms"], rel=1e-4)
    validation, expected = ([found["loss"] for found in report["validation"]] for report in (two, one))
    assert validation == pytest.approx(expected, rel=1e-5)
    assert (two["tokens"], two["trained_tokens"]) == (one["tokens"], one["trained_tokens"])
    (other,) = two["memory"]["other_processes"]
    assert other["measured"]["host_resident_gib"] > 0
    assert [found["action"] for found in other["out_of_memory"]] == ["frugal", "retry"]
    assert one["memory"]["other_processes"] == []


def test_one_that_was_stopped_in_every_way_goes_on_to_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    stops: list[tuple[str, type[PipelineError], str]] = [
        ("asked", TrainingInterruptedError, "SIGTERM after step 3 of 10; checkpoint-3 is saved"),
        ("killed", WorkerError, "Process 2 of 2 of the training ended by SIGKILL"),
        ("full", OutOfMemoryError, "checkpoint-7 is saved, after step 7 of 10"),
    ]
    for event, error, told in stops:
        with pytest.raises(error, match=told):
            run_in_processes(2, ranks_at_work.train, tiny, tmp_path / "stopped", event)
    resumed = run_in_processes(2, ranks_at_work.train, tiny, tmp_path / "stopped")
    whole = run_in_processes(2, ranks_at_work.train, tiny, tmp_path / "whole")
    assert [found["checkpoint"] for found in resumed["events"]] == [
        "checkpoint-3", "checkpoint-4", "checkpoint-7",
    ]  # fmt: skip
    assert resumed["adapter"] == whole["adapter"]
    assert resumed["losses"] == whole["losses"]


def test_a_defect_in_one_is_told_with_its_traceback() -> None:
    with pytest.raises(ValueError, match="a defect") as raised:
        run_in_processes(2, ranks_at_work.raise_in_the_second)
    assert "In process 2 of 2" in raised.value.__notes__[0]
    assert "raise_in_the_second" in raised.value.__notes__[0]


def test_where_the_run_is_killed_its_processes_end() -> None:
    script = "import time; from qwen_pipeline.training.launch import run_in_processes; run_in_processes(2, time.sleep, 600)"
    path = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path})
    members = _until(psutil.Process(run.pid).children, 2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    _until(lambda: [member for member in members if not member.is_running()], 2)


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
