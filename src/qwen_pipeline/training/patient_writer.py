"""Files and folders that are whole or not there, written by a run that waits for a full disk.

They are written beside and renamed. Free space is looked at first, and a disk that turns out to be full while it is
written to (a quota, another program) is waited for in the same way.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError

from qwen_pipeline.errors import CheckpointError
from qwen_pipeline.incremental.durable import flush_folder, flush_tree
from qwen_pipeline.memory.measure import MIB

logger = logging.getLogger(__name__)

RESERVE_BYTES = 16 * MIB  # left for the log, the tracker and the reports
WAIT_SECONDS = 5.0
PATIENCE_SECONDS = 600.0  # how long a run pauses on a full disk before it stops
PARTIAL = ".partial-"  # begins the name of what is not whole
REPLACED = f"{PARTIAL}replaced-"  # and of a folder that gives way to a new one
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class PatientWriter:
    """Writes into one folder.

    Attributes:
        folder: Where.
        free_bytes: Of a folder's disk.
        patience_seconds: How long a full disk is waited for.
    """

    folder: Path
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    patience_seconds: float = PATIENCE_SECONDS
    _is_told: bool = field(default=False, init=False)

    def put(self, name: str, write: Callable[[Path], None], needed: int, what: str) -> Path:
        """Write ``name``, in place of what has that name.

        Args:
            name: Of the file or folder.
            write: Makes it at the path that it is given.
            needed: Bytes that it takes at most.
            what: What it is, as a message says it.

        Returns:
            Its path.

        Raises:
            CheckpointError: The disk stayed full for the whole pause, or the folder cannot be written.
        """
        deadline, self._is_told = time.monotonic() + self.patience_seconds, False
        while True:
            self._wait_for_space(needed + RESERVE_BYTES, what, deadline)
            try:
                return self._put(name, write)
            # torch hides the system's reason in its own
            except (OSError, RuntimeError, SafetensorError) as failure:
                self.clear_leftovers()
                cause = _system_failure(failure)
                if cause is None or cause.errno not in _FULL or time.monotonic() >= deadline:
                    raise CheckpointError(
                        f"{what} cannot be written to {self.folder} ({(cause and cause.strerror) or failure}); the one "
                        "before stays. Make room or fix the folder's rights and run again: training goes on from there."
                    ) from failure
                self._pause(f"{self.folder} is full ({cause.strerror})", deadline)

    def clear_leftovers(self) -> None:
        """Remove what a killed or failed write left behind; a folder that gave way to one that never came returns."""
        for path in self.folder.glob(f"{PARTIAL}*"):
            given_up = self.folder / path.name.removeprefix(REPLACED)
            if path.name.startswith(REPLACED) and not given_up.exists():
                path.rename(given_up)
            else:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _put(self, name: str, write: Callable[[Path], None]) -> Path:
        target, partial = self.folder / name, self.folder / f"{PARTIAL}{os.getpid()}-{name}"
        write(partial)
        flush_tree(partial)
        if target.is_dir():  # a folder cannot be replaced in one step
            target.rename(self.folder / f"{REPLACED}{name}")
        partial.replace(target)
        flush_folder(self.folder)
        self.clear_leftovers()
        return target

    def _wait_for_space(self, needed: int, what: str, deadline: float) -> None:
        """On a full disk pause with one clear line and go on when there is room."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while (free := self.free_bytes(self.folder)) < needed:
            room = f"{self.folder} has {free / MIB:.0f} MiB free and {what} needs {needed / MIB:.0f}"
            if time.monotonic() >= deadline:
                raise CheckpointError(
                    f"{room}; the last good one is kept. Make room and run again: training goes on from there."
                )
            self._pause(room, deadline)

    def _pause(self, why: str, deadline: float) -> None:
        if not self._is_told:
            logger.warning("Paused: %s. Make room; training goes on by itself.", why)
            self._is_told = True
        time.sleep(min(WAIT_SECONDS, max(0.0, deadline - time.monotonic())))


def _system_failure(failure: BaseException | None) -> OSError | None:
    """What the system said, where a library has put its own exception around it."""
    while failure is not None and not isinstance(failure, OSError):
        failure = failure.__cause__ or failure.__context__
    return failure
