"""The records of a project: one file a version, put in place by one rename, which is the commit.

``pending/NODE.json`` is a record whose outputs are being renamed into place. A kill before it leaves
hidden leftovers; a kill after it is put right at the next start: forward if every output is there, back
otherwise. Until then its versions are not loaded.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.durable import flush_folder, read_json, write_json
from qwen_pipeline.incremental.publication import PENDING, discard, staged_beside
from qwen_pipeline.incremental.record import Record, from_plain, to_plain


class Ledger:
    """Reads and commits records.

    Attributes:
        folder: Where they are, ``data/.ledger`` of the project.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def root(self) -> Path:
        """The project."""
        return self.folder.parent.parent

    def records(self, node: str) -> list[Record]:
        """A node's records, newest first; a damaged one is passed over."""
        found = (from_plain(read_json(path)) for path in (self.folder / "records" / node).glob("[!.]*.json"))
        return sorted((one for one in found if one), key=lambda one: one.version, reverse=True)

    def nodes(self) -> list[str]:
        """Names of the nodes that have records."""
        folder = self.folder / "records"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def commit(self, record: Record, folders: Mapping[str, Path]) -> Record:
        """Publish a node's held outputs and its record, all or nothing.

        Args:
            record: What was made.
            folders: The version's folder of each held output, by dataset.

        Returns:
            The record with these folders.

        Raises:
            OSError: The disk is full or a folder cannot be written; the version before stays in force.
        """
        record = replace(record, folders={name: self._relative(path) for name, path in folders.items()})
        pending = self.folder / PENDING / f"{record.node}.json"
        write_json(pending, to_plain(record))
        self._finish(record, pending)
        return record

    def rewrite(self, record: Record) -> None:
        """Replace a record by one of the same version."""
        write_json(self._path(record), to_plain(record))

    def remove(self, record: Record) -> None:
        """Forget a version."""
        self._path(record).unlink(missing_ok=True)

    def recover(self) -> None:
        """Put right what a killed run had begun to publish; only under the project's lock."""
        for pending in sorted((self.folder / PENDING).glob("*.json")):
            record = from_plain(read_json(pending))
            folders = [self.root / name for name in record.folders.values()] if record else []
            if record and all(path.is_dir() or staged_beside(path).is_dir() for path in folders):
                self._finish(record, pending)
                continue
            for path in folders:
                discard(path)
                discard(staged_beside(path))
            pending.unlink(missing_ok=True)

    def attempt(self, node: str) -> dict[str, Any] | None:
        """What is known of a run of the node that did not end: ``fingerprint``, ``started``, ``spent``, ``stopped``."""
        content = read_json(self.folder / "attempts" / f"{node}.json")
        return content if isinstance(content, dict) else None

    def note_attempt(self, node: str, content: dict[str, Any] | None) -> None:
        """Remember that a node was begun; ``None`` forgets it."""
        path = self.folder / "attempts" / f"{node}.json"
        if content is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, content)

    def _finish(self, record: Record, pending: Path) -> None:
        for name in record.folders.values():
            version = self.root / name
            if staged_beside(version).is_dir():
                staged_beside(version).rename(version)
                flush_folder(version.parent)
        target = self._path(record)
        target.parent.mkdir(parents=True, exist_ok=True)
        pending.replace(target)
        flush_folder(target.parent)

    def _path(self, record: Record) -> Path:
        return self.folder / "records" / record.node / f"{record.version}.json"

    def _relative(self, path: Path) -> str:
        with contextlib.suppress(ValueError):
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        return path.resolve().as_posix()
