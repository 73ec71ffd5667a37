"""One of the processes that `launch.py` starts: it takes a job, does it beside the others, and says how it ended.

What it says goes to standard output, pickled: pairs of a word (``log``, ``result``, ``failure``) and a value. Libraries are
imported when it is known who hears what they say.
"""

import logging
import os
import pickle
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

from qwen_pipeline.text.worker_pool import portable_error, private_stdout
from qwen_pipeline.training.interrupt import PassedOn

SIZE_BYTES = 8  # of the number that says how long the job is


@dataclass(frozen=True)
class Job:
    """What one process is to do.

    Attributes:
        rank: Its number.
        count: Of all processes.
        meeting: Where they find each other, see `join_ranks`.
        log_level: Of this project's records.
        warning_filters: Of the run, as in `warnings.filters`.
        call: A function and its arguments, pickled.
    """

    rank: int
    count: int
    meeting: Path
    log_level: int
    warning_filters: Sequence[Any]
    call: bytes


def serve() -> None:
    """Take a job from standard input and do it; a failure is told, and ends the process with code 1."""
    channel, lock = private_stdout(), threading.Lock()

    def say(word: str, value: Any) -> None:
        with lock:
            channel.write(pickle.dumps((word, value)))
            channel.flush()

    job: Job = pickle.loads(_read(int.from_bytes(_read(SIZE_BYTES))))
    _say_what_the_run_would(job, say)
    threading.Thread(target=_hear, daemon=True).start()
    try:
        from qwen_pipeline.training.ranks import join_ranks

        join_ranks(job.rank, job.count, job.meeting)
        work, arguments = pickle.loads(job.call)
        result = work(*arguments)
    except Exception as failure:
        failure.add_note(f"In process {job.rank + 1} of {job.count}:\n{traceback.format_exc()}")
        say("failure", portable_error(failure))
        sys.exit(1)
    say("result", result)


class _Sender(QueueHandler):
    """Hands records over instead of printing them."""

    def __init__(self, say: Callable[[str, Any], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # no queue: `enqueue` is its only user
        self._say = say

    def enqueue(self, record: logging.LogRecord) -> None:
        self._say("log", record)


def _say_what_the_run_would(job: Job, say: Callable[[str, Any], None]) -> None:
    """All processes take the same steps: the first one tells it, the others only errors."""
    logging.getLogger().handlers = [_Sender(say)]
    logging.getLogger("qwen_pipeline").setLevel(job.log_level)
    warnings.filters[:] = job.warning_filters  # type: ignore[index]
    if job.rank:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


def _hear() -> None:
    """Note a request to stop; where standard input ends, the run that started this process is gone."""
    while asked := os.read(sys.stdin.fileno(), 64):
        PassedOn.asked = asked.decode()
    os._exit(1)


def _read(size: int) -> bytes:
    """Bytes of standard input, past Python's own buffer: a thread that is waiting in it would hold up the process's end."""
    data = b""
    while len(data) < size:
        if not (part := os.read(sys.stdin.fileno(), size - len(data))):
            sys.exit(1)
        data += part
    return data
