"""Where a running node may put its files, the fingerprint it runs under, and where the records are."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LEDGER = ".ledger"
WORK = ".work"

_directory: ContextVar[Path | None] = ContextVar("work_directory", default=None)
_fingerprint: ContextVar[str | None] = ContextVar("fingerprint", default=None)


def work_directory() -> Path:
    """A folder for the running node; a temporary one outside of a run."""
    given = _directory.get()
    if given is None:
        return Path(tempfile.mkdtemp(prefix="qwen-pipeline-"))
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


@contextmanager
def entered(directory: Path, fingerprint: str) -> Iterator[None]:
    """Give the node that runs inside this block its folder and its fingerprint."""
    tokens = _directory.set(directory), _fingerprint.set(fingerprint)
    try:
        yield
    finally:
        _directory.reset(tokens[0])
        _fingerprint.reset(tokens[1])


def project_root() -> Path:
    """The Kedro project that the working directory is in; the working directory itself outside of one."""
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
