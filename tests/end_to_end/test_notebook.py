"""The walk-through runs as it is, in a finished project."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from end_to_end.project import FinishedProject

NOTEBOOK = Path("notebooks/walkthrough.ipynb")


def test_the_notebook_is_kept_without_outputs(project_dir: Path) -> None:
    notebook = nbformat.read(project_dir / NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.slow
def test_the_notebook_walks_the_six_stages(
    project_dir: Path, finished_project: FinishedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(finished_project.path / "src"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = finished_project.newest("06_models", "adapter")
    notebook = nbformat.read(project_dir / NOTEBOOK, as_version=4)
    place = {"metadata": {"path": os.fspath(finished_project.path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    told = "".join(
        str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert "passed: True" in told
    assert "Traceback" not in told
    assert finished_project.newest("06_models", "adapter") == before  # all of it was current
