"""A function over many tasks in processes of their own.

The standard library's spawned processes import the caller's main module again: here that is Kedro's command line,
which takes seconds, and a script without a guard or one read from standard input fails. Forked ones inherit the
locks of other threads. So each worker is a plain interpreter that imports nothing but what its tasks need.
"""

import contextlib
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from typing import BinaryIO, TypeVar

from qwen_pipeline.container import available_memory_bytes, usable_cores
from qwen_pipeline.errors import WorkerError

# A process with its libraries and what it is working on: 130 MiB resident while it reads files of 2.5 MiB, more with larger ones.
WORKER_BYTES = 256 * 2**20
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
# Rows are many small objects without cycles: looking for cycles after every 700 took a tenth of the time.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000
# Arrays of a few megabytes come and go: glibc would give each back to the system and ask for it again, a twentieth of the time.
_KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(64 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(64 * 2**20)}
# Ctrl-C goes to every process of the terminal: the parent hears it and ends its workers, which would each print a traceback.
_COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from qwen_pipeline.text.worker_pool import serve; serve()"
)


def map_in_processes(
    function: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int | None = None
) -> Iterator[_Result]:
    """The results in the order of the tasks.

    Args:
        function: Importable by its name, or a ``partial`` of such a function.
        tasks: What it takes; they and the results are pickled.
        workers: Processes; with one, or for one task, everything happens in this process. None takes one per core, or as many
            as there is memory for.

    Raises:
        WorkerError: A worker ended without an answer.
    """
    workers = min(workers or _workers_that_fit(), len(tasks))
    if workers < 2:
        yield from map(function, tasks)
        return
    with _Workers() as started, ThreadPoolExecutor(workers) as threads:
        waiting = deque(threads.submit(started.call, function, task) for task in tasks)
        try:
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # also Ctrl-C, or a caller that wants no more: nobody waits for the rest
            threads.shutdown(wait=False, cancel_futures=True)
            started.end()
            raise


def _workers_that_fit() -> int:
    """One per core that this process may use, where the memory that is left has room for them."""
    return max(1, min(usable_cores(), available_memory_bytes() // WORKER_BYTES))


class _Workers:
    """One process for each thread that asks."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []
        self._ended = False

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            for pipe in filter(None, (worker.stdin, worker.stdout)):
                with contextlib.suppress(OSError):  # what an ended worker did not read is still in the pipe
                    pipe.close()
            worker.wait()

    def end(self) -> None:
        """End every process, whatever it is doing."""
        self._ended = True
        for worker in list(self._all):
            worker.terminate()

    def call(self, function: Callable[[_Task], _Result], task: _Task) -> _Result:
        """Have this thread's process do the task."""
        worker = getattr(self._of_thread, "worker", None) or self._start()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(pickle.dumps((function, task)))
            worker.stdin.flush()
            result, error = pickle.load(worker.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as lost:  # the last: cut off within its answer
            raise WorkerError(
                f"A process that works on the data ended (exit code {worker.wait()}), perhaps for want of memory: "
                "set ingest_workers=1, clean_workers=1 and tokenize_workers=1, which need least."
            ) from lost
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**_KEEPS_MEMORY, **os.environ, **import_path()}
        worker = subprocess.Popen(
            [sys.executable, "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._of_thread.worker = worker
        self._all.append(worker)
        if self._ended:  # in the meantime
            worker.terminate()
        return worker


class _WithoutPandas(MetaPathFinder):
    """Tells pyarrow, which imports pandas at its first list, that there is none: a second and 40 MB for each process."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("no pandas in this process", name=fullname)


def serve() -> None:
    """Answer tasks from standard input until it ends."""
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS, 20, 100)
    sys.meta_path.insert(0, _WithoutPandas())
    answers = private_stdout()
    while True:
        try:
            function, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = pickle.dumps((function(task), None))
        except Exception as error:
            answer = pickle.dumps((None, portable_error(error)))
        answers.write(answer)
        answers.flush()


def import_path() -> dict[str, str]:
    """What an interpreter has to find in its environment to import what this one can."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def private_stdout() -> BinaryIO:
    """Standard output for this process's answers alone: a print of some library goes to standard error from now on."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def portable_error(error: Exception) -> Exception:
    """The error as another process can be told of it: one that does not survive the way is told by name and message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
