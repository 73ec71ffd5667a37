"""Versions that are whole or not there: written beside, flushed to disk, then renamed.

Kedro loads the lexically latest version folder, so a half-written one would shadow a good one. Every
dataset of this project therefore writes into a hidden sibling first; the rename is the last act.
"""

import os
import shutil
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kedro.io import AbstractDataset, AbstractVersionedDataset, Version

from qwen_pipeline.errors import VersionError

In = TypeVar("In")
Out = TypeVar("Out")


class AtomicDataset(AbstractVersionedDataset[In, Out]):
    """A versioned dataset whose subclasses only say how one path is written and read."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.metadata = metadata
        super().__init__(PurePosixPath(filepath), version)

    @abstractmethod
    def write(self, data: In, path: Path) -> None:
        """Write ``data`` to ``path``, a file or a folder that does not exist yet."""

    @abstractmethod
    def read(self, path: Path) -> Out:
        """Read what :meth:`write` wrote."""

    def save(self, data: In) -> None:
        """Write a new version.

        Raises:
            VersionError: The folder cannot be written, or the disk is full.
        """
        target = Path(self._get_save_path())
        folder = target.parent if self._version else target
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            inner = partial / target.name if self._version else partial
            inner.parent.mkdir(parents=True, exist_ok=True)
            self.write(data, inner)
            _flush(partial)
            partial.rename(folder)
            _flush_folder(folder.parent)
        except OSError as failure:
            shutil.rmtree(partial, ignore_errors=True)
            raise VersionError(
                f"{self._filepath} cannot be written: {failure.strerror or failure}. "
                "Make room or give this user the right to write there; the version before stays in force."
            ) from failure

    def load(self) -> Out:
        """Read the version in force."""
        return self.read(Path(self._get_load_path()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).exists()
        except Exception:  # Kedro raises its own error where there is no version yet
            return False


class AtomicFileDataset(AtomicDataset[Any, Any]):
    """Any single-file dataset of kedro-datasets, made atomic.

    Example in the catalog::

        train_report:
          type: qwen_pipeline.datasets.versioned.AtomicFileDataset
          filepath: data/08_reporting/train_report.json
          versioned: true
          dataset: {type: json.JSONDataset}
    """

    def __init__(
        self,
        *,
        filepath: str,
        dataset: dict[str, Any],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._inner = dataset

    def write(self, data: Any, path: Path) -> None:
        """Let the inner dataset write the file."""
        self._at(path).save(data)

    def read(self, path: Path) -> Any:
        """Let the inner dataset read the file."""
        return self._at(path).load()

    def _at(self, path: Path) -> AbstractDataset[Any, Any]:
        return AbstractDataset.from_config(path.name, {**self._inner, "filepath": path.as_posix()})


def _flush(path: Path) -> None:
    """Make sure that every file below ``path`` is on the disk before the rename names it."""
    for found in [path, *path.rglob("*")]:
        if found.is_file():
            with found.open("rb") as stream:
                os.fsync(stream.fileno())


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
