"""What every command sets right before it says its first word: what it may print, where its log goes, how it is stopped."""

import _thread
import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from qwen_pipeline.errors import RunInterruptedError
from qwen_pipeline.incremental.workspace import project_root

INTERRUPT_AGAIN_SECONDS = 0.05  # the finaliser has ended by then


def prepare_terminal() -> None:
    """Print whatever the terminal's encoding lacks as ``?``, keep what is read in another one, use the project's logging."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's or a test's own may be something else
            stream.reconfigure(errors="replace")
    if isinstance(sys.stdin, io.TextIOWrapper):  # whoever reads it can then say what was wrong with a line
        sys.stdin.reconfigure(errors="surrogateescape")
    logging.raiseExceptions = (
        False  # a log on a full disk loses its lines; sixty of traceback for each help nobody
    )
    if not isinstance(sys.unraisablehook, _LostInterrupt):
        sys.unraisablehook = _LostInterrupt(sys.unraisablehook)
    _use_project_logging()


class _LostInterrupt:
    """Asks again a moment later where Ctrl-C came within a finaliser, which drops whatever is raised in it.

    torch and the memory plan run one for every tensor that is freed: the run would go on as if nobody had asked.
    """

    def __init__(self, before: Callable[[Any], Any]) -> None:
        self._before = before

    def __call__(self, lost: Any) -> None:
        """What Python does with an error that nobody can catch."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            self._before(lost)
            return
        again = threading.Timer(INTERRUPT_AGAIN_SECONDS, _thread.interrupt_main)
        again.daemon = True  # at the interpreter's end nobody waits for it
        with contextlib.suppress(RuntimeError):  # there no thread starts any more: the run ends in any case
            again.start()


@contextlib.contextmanager
def stop_on_demand() -> Iterator[None]:
    """SIGTERM, as of ``docker stop`` and of batch systems, ends the block like Ctrl-C: what is open is closed, and one sentence said.

    Raises:
        RunInterruptedError: One of them came.
    """
    asked = signal.SIGINT

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = signal.SIGTERM
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    is_free = in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_free:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise RunInterruptedError(
            f"Stopped by {asked.name}; the stages that had ended are kept. Run the same command again to go on from there."
        ) from stopped
    finally:
        if is_free:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _use_project_logging() -> None:
    """Read ``conf/logging.yml`` from a subfolder too; one that cannot be used ends the command in a sentence.

    Source: Kedro 1.7 looks for it in the working directory only, and else shows every dataset it loads. Can go when
    it looks in the project's root.
    """
    path = project_root() / "conf/logging.yml"
    if os.environ.get("KEDRO_LOGGING_CONFIG") or not path.is_file():
        return
    import yaml

    try:
        from kedro.framework.project import LOGGING  # in the root this reads the file

        if path.parent.parent != Path.cwd():
            LOGGING.configure(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OSError) as failure:
        sys.exit(_unusable(failure))


def _unusable(failure: Exception) -> str:
    """What is wrong with ``conf/logging.yml``, and the remedy."""
    mark = getattr(failure, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark else ""
    why = getattr(failure, "problem", None) or str(failure).partition("\n")[0]
    return f"conf/logging.yml{line}: {why}. Put it right, or take the project's own: git checkout conf/logging.yml"
