"""Folders of nodes that are called by hand."""

import subprocess
import sys
from pathlib import Path

CALL = """
from qwen_pipeline.incremental.workspace import work_directory
first, second = work_directory(), work_directory()
(first / "rows.parquet").touch()
print(first, second, sep="\\n")
"""


def test_the_folder_of_a_node_called_by_hand_goes_with_the_process() -> None:
    printed = subprocess.run([sys.executable, "-c", CALL], capture_output=True, text=True, check=True)
    first, second = map(Path, printed.stdout.split())
    assert first != second
    assert not first.exists()
    assert not second.exists()
    assert not printed.stderr
