"""Where a running node may put its files, the fingerprint it runs under, and where the records are."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LEDGER = ".ledger"
WORK = ".work"

_directory: ContextVar[Path | None] = ContextVar("work_directory", default=None)
_fingerprint: ContextVar[str | None] = ContextVar("fingerprint", default=None)
_afterwards: ContextVar[list[Callable[[], None]] | None] = ContextVar("afterwards", default=None)
_opened: list[Path] = []  # the project that Kedro opened last in this process
_temporary: list[tempfile.TemporaryDirectory[str]] = []  # removed with this list, when the process ends


def work_directory() -> Path:
    """A folder for the running node; outside of a run (a notebook) a new one, removed when the process ends."""
    given = _directory.get()
    if given is None:
        _temporary.append(tempfile.TemporaryDirectory(prefix="qwen-pipeline-", ignore_cleanup_errors=True))
        return Path(_temporary[-1].name)
    given.mkdir(parents=True, exist_ok=True)
    return given


def is_work(path: Path) -> bool:
    """Whether ``path`` is below the running node's folder, so that it may be moved away."""
    given = _directory.get()
    return given is not None and given.resolve() in path.resolve().parents


def current_fingerprint() -> str | None:
    """The fingerprint of the running node, ``None`` outside of an incremental run.

    It is the same for the same code, parameters (run-time ones left out), inputs and libraries.
    """
    return _fingerprint.get()


def once_published(action: Callable[[], None]) -> None:
    """Do ``action`` when the running node's outputs are published; at once outside of an incremental run.

    A node throws away with it what it would need to go on after a kill. After a failure, or a kill at any moment
    before, it is not done.
    """
    waiting = _afterwards.get()
    if waiting is None:
        action()
    else:
        waiting.append(action)


@contextmanager
def entered(directory: Path, fingerprint: str) -> Iterator[list[Callable[[], None]]]:
    """Give the node that runs inside this block its folder and its fingerprint.

    Yields:
        What the node wants done once its outputs are published.
    """
    afterwards: list[Callable[[], None]] = []
    tokens = _directory.set(directory), _fingerprint.set(fingerprint), _afterwards.set(afterwards)
    try:
        yield afterwards
    finally:
        _directory.reset(tokens[0])
        _fingerprint.reset(tokens[1])
        _afterwards.reset(tokens[2])


def open_project(path: Path) -> None:
    """Name the project that Kedro opened: a session may have been started in another folder, or in another project."""
    _opened[:] = [path]


def project_root() -> Path:
    """The project that Kedro opened; before that the one that the working directory is in, or the working directory."""
    if _opened:
        return _opened[0]
    here = Path.cwd()
    for folder in (here, *here.parents):
        settings = folder / "pyproject.toml"
        if settings.is_file() and "[tool.kedro]" in settings.read_text(encoding="utf-8"):
            return folder
    return here


def ledger_folder() -> Path:
    """Where this project keeps its records."""
    return project_root() / "data" / LEDGER


def ledger_above(path: Path) -> Path | None:
    """The records that a dataset at ``path`` belongs to, where there are any."""
    for folder in path.parents:
        if (folder / LEDGER).is_dir():
            return folder / LEDGER
    return None
