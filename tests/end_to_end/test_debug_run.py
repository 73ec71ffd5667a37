"""The quick look of the guide: a run of under a minute, with a picture of its memory."""

import json

import pytest

from end_to_end.project import FinishedProject

pytestmark = pytest.mark.slow


def test_the_quick_debug_run_takes_under_a_minute_and_draws_its_memory(
    finished_project: FinishedProject, debug_run: FinishedProject
) -> None:
    from mlflow import MlflowClient

    report = json.loads(debug_run.newest("08_reporting", "train_report.json").read_text(encoding="utf-8"))
    assert report["micro_batch_rows"] == 1
    assert report["seconds"] < 60
    assert len(list((debug_run.path.parent / "checkpoints").glob("*/checkpoint-*"))) == 2
    assert not (debug_run.path / "data/06_models/checkpoints").exists()
    client = MlflowClient(finished_project.tracking_uri)
    drawn = {file.path for file in client.list_artifacts(report["mlflow_run_id"], "memory_profile")}
    assert drawn == {"memory_profile/memory.svg", "memory_profile/memory_snapshot.json"}
