"""Folders of nodes that are called by hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from end_to_end.project import copy_project

CALL = """
from qwen_pipeline.incremental.workspace import work_directory
first, second = work_directory(), work_directory()
(first / "rows.parquet").touch()
print(first, second, sep="\\n")
"""

SESSION = """
import sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from qwen_pipeline.incremental.workspace import project_root

bootstrap_project(sys.argv[1])
with KedroSession.create(project_path=sys.argv[1]) as session:
    catalog = session.load_context().catalog
print(project_root(), catalog["raw_files"]._samples, sep="\\n")
"""


def test_a_session_started_outside_of_the_project_works_on_its_files(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SESSION, str(root)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert printed.stdout.splitlines()[-2:] == [str(root), str(root / "data/sample")]
    assert not list(tmp_path.iterdir())


RUN = """
import sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from qwen_pipeline.incremental.runner import IncrementalRunner

bootstrap_project(sys.argv[1])
with KedroSession.create(project_path=sys.argv[1]) as session:
    session.run(runner=IncrementalRunner(), pipeline_names=["ingest"])
"""


def test_a_session_started_in_another_project_works_on_its_own_files_and_records(tmp_path: Path) -> None:
    own, other = copy_project(tmp_path / "own"), copy_project(tmp_path / "other")
    shutil.rmtree(other / "data")
    environment = {**os.environ, "PYTHONPATH": str(own / "src"), "DO_NOT_TRACK": "1"}
    subprocess.run([sys.executable, "-c", RUN, str(own)], check=True, cwd=other / "conf", env=environment)
    assert [path.name for path in (own / "data/.ledger/records").iterdir()] == ["ingest.ingest_files"]
    assert not (other / "data").exists()


def test_the_folder_of_a_node_called_by_hand_goes_with_the_process() -> None:
    printed = subprocess.run([sys.executable, "-c", CALL], capture_output=True, text=True, check=True)
    first, second = map(Path, printed.stdout.split())
    assert first != second
    assert not first.exists()
    assert not second.exists()
    assert not printed.stderr
