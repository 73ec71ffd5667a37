"""One run at a time in a project. The lock dies with its holder, so a killed run never blocks the next."""

import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from qwen_pipeline.errors import ProjectLockedError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0  # `kedro status` looks at the lock for a moment
# A file system without locks, as Lustre or NFS may be mounted. Source: flock(2), and Lustre's mount option ``flock``.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def project_lock(path: Path) -> Iterator[None]:
    """Hold the project's lock inside this block; on a disk without locks, work without one and say so.

    Args:
        path: The lock's file; it stays there and says who held it last.

    Raises:
        ProjectLockedError: Another run works in this project.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    still_open = [descriptor]
    if hasattr(os, "register_at_fork"):  # a worker that outlives a killed run must not keep the lock
        os.register_at_fork(after_in_child=lambda: _close_all(still_open))
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _take(descriptor, path):
            if time.monotonic() > deadline:
                raise ProjectLockedError(_told(path))
            time.sleep(0.05)
        holder = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps({**holder, "command": _command()}).encode())
        yield
    finally:
        _close_all(still_open)


def holder_of(path: Path) -> dict[str, str] | None:
    """Who holds the lock now: ``pid``, ``since``, ``command``; ``None`` where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if _take(descriptor):
            return None
        os.lseek(descriptor, 0, os.SEEK_SET)
        return dict(json.loads(os.read(descriptor, 4096) or b"{}"))
    except ValueError:
        return {}
    finally:
        os.close(descriptor)


def _told(path: Path) -> str:
    holder = holder_of(path) or {}
    who = f" (process {holder['pid']}, since {holder['since']}: {holder['command']})" if holder else ""
    return (
        f"Another run works in this project{who}; two at once would undo each other's work. "
        "Wait until it ends, or stop it, and run again."
    )


def _command() -> str:
    return " ".join(["kedro", *sys.argv[1:]])[:200]


def _take(descriptor: int, path: Path | None = None) -> bool:
    """Try to lock a file; the system unlocks it when its last holder closes it or dies.

    Args:
        descriptor: The open file.
        path: Where it is, for the warning that its disk has no locks; ``None`` warns of nothing.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        if failure.errno not in NO_LOCKS:
            return False
        if path is not None:
            logger.warning(
                "The disk of %s has no file locks (%s): two runs at once in this project are not noticed, so start one "
                "at a time.",
                path.parent,
                failure.strerror,
            )
    return True


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    descriptors.clear()
