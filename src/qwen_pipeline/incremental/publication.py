"""Outputs of a node are held back until all are whole, then appear together.

A dataset writes into a hidden sibling of its versions. While a node runs, the sibling stays hidden; the
runner publishes all of them by renames and commits with the record.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen_pipeline.incremental.durable import read_json

STAGED = ".staged-"
PARTIAL = ".partial-"
TRASH = ".trash-"
PENDING = "pending"


class Publication:
    """The outputs of one node that are written and not yet seen by anybody.

    Attributes:
        versions: Folders that the outputs will have; until then each is at :func:`staged_beside` of it.
    """

    def __init__(self) -> None:
        self.versions: list[Path] = []

    def hold(self, version: Path) -> None:
        """Keep a whole output back."""
        self.versions.append(version)

    def drop(self) -> None:
        """Drop what a failed node wrote."""
        for version in self.versions:
            discard(staged_beside(version))
        self.versions.clear()


_open: list[Publication] = []  # of the process, not of the context: Kedro's --async saves in threads


def current_publication() -> Publication | None:
    """What the running node's outputs are held by; ``None`` outside of an incremental run."""
    return _open[-1] if _open else None


@contextmanager
def held_outputs() -> Iterator[Publication]:
    """Hold back what is saved inside this block; a failure drops it."""
    publication = Publication()
    _open.append(publication)
    try:
        yield publication
    except BaseException:
        publication.drop()
        raise
    finally:
        _open.remove(publication)


def staged_beside(version: Path) -> Path:
    """Where a version is until it is published."""
    return version.with_name(f"{STAGED}{version.name}")


def partial_beside(version: Path) -> Path:
    """Where this process writes a version outside of an incremental run."""
    return version.with_name(f"{PARTIAL}{os.getpid()}-{version.name}")


def discard(path: Path) -> None:
    """Remove a folder so that a kill leaves it either untouched or invisible."""
    if not path.exists():
        return
    trash = path.with_name(f"{TRASH}{os.getpid()}-{path.name}")
    shutil.rmtree(trash, ignore_errors=True)
    path.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def clear_leftovers(versions: Path) -> None:
    """Remove what killed runs left beside the versions of a dataset; only under the project's lock.

    What a process outside of an incremental run (a notebook) is writing now stays.
    """
    if not versions.is_dir():
        return
    for path in versions.iterdir():
        owner = path.name.removeprefix(PARTIAL).partition("-")[0]
        if path.name.startswith((STAGED, TRASH)) or (path.name.startswith(PARTIAL) and not _is_alive(owner)):
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def unpublished(ledger: Path | None) -> frozenset[str]:
    """Versions' folders, resolved, that a killed run had begun to publish and not committed."""
    if ledger is None or not (ledger / PENDING).is_dir():
        return frozenset()
    folders = set()
    for path in (ledger / PENDING).glob("*.json"):
        content = read_json(path) or {}
        # resolved on both sides: records hold resolved folders where `data` is a link to another disk
        root = ledger.parent.parent
        folders |= {str((root / name).resolve()) for name in content.get("folders", {}).values()}
    return frozenset(folders)
