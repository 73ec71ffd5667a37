"""Versions are whole and committed, or they are not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kedro.io import DatasetError, Version

from qwen_pipeline.commands.failures import explained_by
from qwen_pipeline.datasets.versioned import AtomicFileDataset
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.record import Depends, Record

GOOD, KILLED = "2026-01-01T00.00.00.000Z", "2026-02-02T00.00.00.000Z"


def report(root: Path, version: str | None) -> AtomicFileDataset:
    return AtomicFileDataset(
        filepath=str(root / "data/08/report.json"),
        dataset={"type": "json.JSONDataset"},
        version=Version(None, version),
    )


@pytest.mark.parametrize("linked", ["nothing", "data", "data/08"])
def test_a_version_that_was_never_committed_is_not_loaded_even_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: str
) -> None:
    root, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / linked).parent.mkdir(parents=True)
    if linked != "nothing":
        (root / linked).symlink_to(elsewhere)
    ledger = Ledger(root / "data/.ledger")
    report(root, GOOD).save({"total": 1})
    report(root, KILLED).save({"total": 2})
    monkeypatch.setattr(ledger, "_finish", lambda record, pending: None)  # killed before the commit's mark
    ledger.commit(Record("n", KILLED, Depends()), {"report": report(root, KILLED).version_folder(KILLED)})
    assert report(root, None).load() == {"total": 1}


IN_ASCII = r"""
import sys
from qwen_pipeline.datasets.versioned import AtomicFileDataset
kinds = {"page": ({"type": "text.TextDataset"}, "\u4e2d\u6587 \u2013 \xe9"),
         "report": ({"type": "json.JSONDataset", "save_args": {"ensure_ascii": False}}, {"verdict": "\u4e2d\u6587"})}
for name, (kind, content) in kinds.items():
    dataset = AtomicFileDataset(filepath=f"{sys.argv[1]}/{name}", dataset=kind)
    dataset.save(content)
    assert dataset.load() == content
"""


def test_a_file_where_a_folder_is_needed_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/08").write_text("in the way")
    with pytest.raises(DatasetError) as raised:
        report(tmp_path, GOOD).save({})
    told = str(explained_by(raised.value))
    assert "stands where a folder is needed" in told
    assert "room" not in told


def test_pages_and_reports_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", IN_ASCII, str(tmp_path)],
        env={**os.environ, **locale},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "page").glob("*/page")
    assert page.read_bytes().decode("utf-8") == "中文 – é"


def test_a_binary_file_keeps_its_own_way_of_being_opened(tmp_path: Path) -> None:
    dataset = AtomicFileDataset(filepath=str(tmp_path / "any"), dataset={"type": "pickle.PickleDataset"})
    dataset.save({"total": 1})
    assert dataset.load() == {"total": 1}
