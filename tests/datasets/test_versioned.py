"""Versions are whole and committed, or they are not there."""

from pathlib import Path

import pytest
from kedro.io import Version

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
    monkeypatch.setattr(ledger, "_finish", lambda record, pending: None)  # killed before the mark of the commit
    ledger.commit(Record("n", KILLED, Depends()), {"report": report(root, KILLED).version_folder(KILLED)})
    assert report(root, None).load() == {"total": 1}
