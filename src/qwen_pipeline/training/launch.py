"""A training in several processes of this machine, one a card: started, listened to and ended by the run's own process.

Each is a plain interpreter, as in `text/worker_pool.py`. Signals to it are ignored: the run hears them and passes a request to
stop on, so that all end after the same step. Where the run itself is killed they end at once, as a training in one process does.
"""

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from signal import Signals
from typing import Any, Self

from qwen_pipeline.errors import PipelineError, WorkerError
from qwen_pipeline.memory.recovery import release_memory
from qwen_pipeline.text.worker_pool import import_path
from qwen_pipeline.training.interrupt import Interrupt
from qwen_pipeline.training.member import SIZE_BYTES, Job

GRACE_SECONDS = 10.0  # for the others to end by themselves where one has failed
POLL_SECONDS = 0.1
logger = logging.getLogger(__name__)
_COMMAND = (
    "from qwen_pipeline.training.interrupt import leave_signals_to_the_run; leave_signals_to_the_run(); "
    "from qwen_pipeline.training.member import serve; serve()"
)


def run_in_processes(count: int, work: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``work(*arguments)`` in processes that share each step's rows.

    Args:
        count: How many.
        work: Importable by its name.
        arguments: Pickled, as is what it gives.

    Returns:
        What it gave in the first process.

    Raises:
        PipelineError: As the first one told, or another where it alone has failed.
        WorkerError: One of them ended without a word.
    """
    release_memory()
    logger.info("Training in %d processes.", count)
    call = pickle.dumps((work, arguments))
    level = logging.getLogger("qwen_pipeline").getEffectiveLevel()
    with tempfile.TemporaryDirectory(prefix="qwen-pipeline-") as folder, ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        members = [stack.enter_context(_Member(rank, count)) for rank in range(count)]
        for member in members:
            member.send(Job(member.rank, count, Path(folder) / "ranks", level, warnings.filters, call))
        _wait(members, interrupt)
        _raise_failure(members)
    return members[0].result


class _Member:
    """One process, and what it has said.

    Attributes:
        rank: Its number.
        result: What its work gave.
        failure: Why it ended.
        failed_at: When it was seen to have ended without a result.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self._count = rank, count
        self.result: Any = None
        self.failure: Exception | None = None
        self.failed_at = float("inf")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **import_path()},
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdin is not None
        with suppress(OSError):  # what it did not read
            self._process.stdin.close()

    def send(self, job: Job) -> None:
        """Give it the job, without which it does nothing."""
        data = pickle.dumps(job)
        self._write(len(data).to_bytes(SIZE_BYTES) + data)

    def ask_to_stop(self, signal_name: str) -> None:
        """Pass a request on; the training ends after its step."""
        self._write(signal_name.encode())

    def is_running(self) -> bool:
        """Whether it works; notes when it is seen to have failed."""
        code = self._process.poll()
        if code:
            self.failed_at = min(self.failed_at, time.monotonic())
        return code is None

    def why_failed(self) -> Exception:
        """What it told, or how it ended without a word."""
        self._listener.join()
        if self.failure is not None and not isinstance(self.failure, PipelineError):
            return self.failure
        name = f"Process {self.rank + 1} of {self._count}"
        if self.failure is not None:
            return self.failure if self.rank == 0 else type(self.failure)(f"{name}: {self.failure}")
        code = self._process.returncode
        how = f"by {Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return WorkerError(
            f"{name} of the training ended {how}, perhaps for want of host memory. Run the same command again to go on from "
            "the newest checkpoint, with a smaller num_processes if it ends again."
        )

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended, which is noticed elsewhere
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers, suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                word, value = pickle.load(answers)
                if word != "log":
                    setattr(self, word, value)
                elif (logger := logging.getLogger(value.name)).isEnabledFor(value.levelno):
                    logger.handle(value)


def _wait(members: Sequence[_Member], interrupt: Interrupt) -> None:
    """Until all have ended, or one has failed and the others had time to end too."""
    told = False
    while sum([member.is_running() for member in members]):
        if time.monotonic() > min(member.failed_at for member in members) + GRACE_SECONDS:
            return
        if interrupt.asked and not told:
            told = True
            for member in members:
                member.ask_to_stop(interrupt.asked)
        time.sleep(POLL_SECONDS)


def _raise_failure(members: Sequence[_Member]) -> None:
    """Raise the cause: what this project told, else what ended without a word, else the first that failed.

    Where one is gone the others fail too, with what their library says of a lost connection.
    """
    failures = [
        member.why_failed() for member in sorted(members, key=lambda member: member.failed_at)
        if member.failed_at < float("inf")
    ]  # fmt: skip
    if not failures:
        return
    own = [failure for failure in failures if isinstance(failure, PipelineError)]
    raise min(own, key=lambda failure: isinstance(failure, WorkerError), default=failures[0])
