"""Two questions in one file: the run reaches its end, and makes up no figure."""

import json
from pathlib import Path

import pytest

from end_to_end.project import FinishedProject, copy_project

pytestmark = pytest.mark.slow
PAIRS = (
    "question,answer\nWhat is LoRA?,A small adapter that is trained.\nWhat is NF4?,A format of four bits.\n"
)


def test_two_pairs_run_to_the_end_and_the_report_says_that_nothing_was_held_out(tmp_path: Path) -> None:
    project = FinishedProject(copy_project(tmp_path / "project"), 0.0, "")
    (project.path / "mine").mkdir()
    (project.path / "mine/two.csv").write_text(PAIRS, encoding="utf-8")
    done = project.kedro(
        "run", "--params", "data_dir=mine,num_epochs=1,test_fraction=0,validation_fraction=0"
    )
    assert "Not measured. There are no held-out rows" in done.stdout
    report = json.loads(project.newest("08_reporting", "evaluation_report.json").read_text(encoding="utf-8"))
    assert report["tuned"] == {}
    export = json.loads(project.newest("08_reporting", "export_report.json").read_text(encoding="utf-8"))
    assert export["rows_from"] == "train"
    assert all(check["passed"] for check in export["checks"])
