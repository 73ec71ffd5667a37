"""Two runs at once cannot hurt each other, and a killed holder blocks nobody."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from incremental.toy import Toy
from qwen_pipeline.errors import ProjectLockedError
from qwen_pipeline.incremental.lock import holder_of, project_lock

HOLD = r"""
import sys, time, os
from pathlib import Path
from qwen_pipeline.incremental.lock import project_lock
with project_lock(Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() == 0:
        os.write(1, f"{os.getpid()}\n".encode())
        time.sleep(60)
    os.write(1, b"held\n")
    time.sleep(60)
"""
SOURCE = Path(__file__).resolve().parents[2] / "src"


def hold(path: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_run_is_refused_and_told_who_is_at_work(toy: Toy) -> None:
    lock = toy.root / "data/.ledger/lock"
    process = hold(lock)
    assert process.stdout
    process.stdout.readline()
    try:
        before = toy.versions("refined")
        toy.values["refine"]["ending"] = "!"
        with pytest.raises(ProjectLockedError, match=rf"Another run .*process {process.pid}, since 20.*Wait"):
            toy.run()
        assert toy.versions("refined") == before
        assert toy.status()["refine"].action == "run"  # looking is always allowed
        holder = holder_of(lock)
        assert holder
        assert holder["pid"] == process.pid
    finally:
        process.kill()
        process.wait()
    assert toy.run() == ["refine", "report"]  # the killed holder's lock is gone with it


def test_a_worker_that_outlives_a_killed_run_does_not_keep_the_lock(tmp_path: Path) -> None:
    process = hold(tmp_path / "lock", "fork")
    assert process.stdout
    worker = int(next(line for line in process.stdout if line.strip().isdigit()))
    try:
        process.kill()
        process.wait()
        os.kill(worker, 0)  # it is still there
        with project_lock(tmp_path / "lock"):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_the_lock_can_be_taken_again_after_a_run(tmp_path: Path) -> None:
    for _ in range(2):
        with project_lock(tmp_path / "lock"):
            assert holder_of(tmp_path / "lock") is not None
    assert holder_of(tmp_path / "lock") is None


def test_refusing_takes_about_a_second(tmp_path: Path) -> None:
    start = time.monotonic()
    with project_lock(tmp_path / "lock"), pytest.raises(ProjectLockedError), project_lock(tmp_path / "lock"):
        pass
    assert time.monotonic() - start < 10


def test_a_disk_without_locks_is_worked_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lustre and NFS may be mounted so; a run that waits for a lock there would never begin."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with project_lock(tmp_path / "lock"):
        assert holder_of(tmp_path / "lock") is None
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        f"The disk of {tmp_path} has no file locks"
    ]
