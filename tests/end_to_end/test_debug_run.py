"""The quick look of the guide: a run of under a minute, with a picture of its memory."""

import json
from pathlib import Path

import pytest

from end_to_end.project import FinishedProject, copy_project

pytestmark = pytest.mark.slow
QUICK = "num_epochs=1,batch_size=1,max_sequence_length=64"


def test_the_quick_debug_run_takes_under_a_minute_and_draws_its_memory(
    finished_project: FinishedProject, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    project = FinishedProject(copy_project(tmp_path / "project"), 0.0, "")  # the demo is built by now
    checkpoints = tmp_path / "elsewhere"
    options = f"{QUICK},enable_memory_profiling=true,checkpoint_dir={checkpoints},save_strategy=steps,save_steps=100"
    project.kedro("run", "--pipeline", "train", "--params", options)
    report = json.loads(project.newest("08_reporting", "train_report.json").read_text(encoding="utf-8"))
    assert report["micro_batch_rows"] == 1
    assert report["seconds"] < 60
    assert len(list(checkpoints.glob("*/checkpoint-*"))) == 2
    assert not (project.path / "data/06_models/checkpoints").exists()
    client = MlflowClient(f"sqlite:///{project.path / 'mlflow.db'}")
    drawn = {file.path for file in client.list_artifacts(report["mlflow_run_id"], "memory_profile")}
    assert drawn == {"memory_profile/memory.svg", "memory_profile/memory_snapshot.json"}
