"""Where a running node may put its files, and the fingerprint it runs under."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_directory: ContextVar[Path | None] = ContextVar("work_directory", default=None)
_fingerprint: ContextVar[str | None] = ContextVar("fingerprint", default=None)


def work_directory() -> Path:
    """A folder for the running node; a temporary one outside of a run."""
    given = _directory.get()
    if given is None:
        return Path(tempfile.mkdtemp(prefix="qwen-pipeline-"))
    given.mkdir(parents=True, exist_ok=True)
    return given


def current_fingerprint() -> str | None:
    """The fingerprint of the running node, ``None`` outside of an incremental run."""
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
