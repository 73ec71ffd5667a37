"""The user's files, as partitions of bytes that are read lazily.

kedro-datasets' PartitionedDataset would do the listing; the fallback to the bundled samples and the
errors for a directory that the user named are this project's.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from qwen_pipeline.errors import DataError
from qwen_pipeline.incremental.content import file_digests, files_below
from qwen_pipeline.incremental.workspace import project_root
from qwen_pipeline.params.ingest import DEFAULT_DATA_DIR as DEFAULT
from qwen_pipeline.text.raw_file import RawFile

logger = logging.getLogger(__name__)


class RawFilesDataset(AbstractDataset[None, dict[str, RawFile]]):
    """Every visible file below ``path``, by its relative name; where ``path`` is a file, that one.

    The default directory may be empty: then the samples are used, with one warning. A directory that the
    user named must hold files.
    """

    edited_by_hand = True  # at any moment, while a run reads them too

    def __init__(self, *, path: str, sample_path: str, metadata: dict[str, Any] | None = None) -> None:
        # From the root, wherever in the project a command is given: Kedro makes only `path` absolute.
        self._path = project_root() / Path(path).expanduser()
        self._samples = project_root() / sample_path
        self.metadata = metadata

    def load(self) -> dict[str, RawFile]:
        """List the files; nothing is read yet.

        Raises:
            DataError: The directory was named by the user and is missing or holds no file.
        """
        return find_raw_files(self._path, self._samples)

    def fingerprint(self) -> dict[str, str]:
        """Content digest of each file, by name; one that keeps size, times and inode is read once.

        Raises:
            DataError: The directory was named by the user and is missing or holds no file.
        """
        place, digests = _place(self._path, self._samples), file_digests()
        return {_as_text(name): digests.of(_folder(place) / name, stat) for name, stat in _visible(place)}

    def part_label(self, part: str) -> str:
        """A file as people know it, one that is gone too: with its directory, from the project's root if that holds it."""
        folder = _folder(self._path)
        if _is_default(self._path) and not (folder / part).exists() and (self._samples / part).exists():
            folder = self._samples
        return _as_written(folder / part)

    def save(self, data: None) -> None:
        """Refuse: these files are the user's."""
        raise DataError("raw_files are the user's own and are never written.")

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


def find_raw_files(path: Path, samples: Path) -> dict[str, RawFile]:
    """Every visible file below ``path``, or ``path`` itself if it is a file, or the samples where the default folder is empty.

    Raises:
        DataError: The directory was named by the user and is missing or holds no file, or there are no samples.
    """
    place = _place(path, samples)
    if place != path:
        logger.warning("%s is empty: using the bundled samples in %s.", DEFAULT, _as_written(samples))
    files = (RawFile(_as_text(name), _folder(place) / name, stat.st_size) for name, stat in _visible(place))
    return {file.name: file for file in files}


def _place(path: Path, samples: Path) -> Path:
    """The folder or the file that is read."""
    if path.is_file() or (path.is_dir() and next(_visible(path), None)):
        return path
    if _is_default(path):
        if samples.is_dir() and next(_visible(samples), None):
            return samples
        raise DataError(
            f"{DEFAULT} is empty, and there are no samples in {_as_written(samples)}; put question-and-answer files "
            "there, or name their folder with data_dir."
        )
    what = "holds no file" if path.is_dir() else "does not exist"
    raise DataError(
        f"data_dir={_as_written(path)} {what}; put question-and-answer files there, "
        f"or leave data_dir out to use {DEFAULT}."
    )


def _is_default(path: Path) -> bool:
    """Whether ``path`` is the folder that may be empty."""
    return path.resolve() == (project_root() / DEFAULT).resolve()


def _as_written(path: Path) -> str:
    """A path as people wrote it: Kedro makes those of the catalog absolute."""
    root = project_root()
    return (path.relative_to(root) if root in path.parents else path).as_posix()


def _as_text(name: str) -> str:
    r"""A file's name as tables and reports can hold it: bytes that are no UTF-8, as in old archives, become ``\xd6``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _folder(place: Path) -> Path:
    """What the names of the files are relative to."""
    return place.parent if place.is_file() else place


def _visible(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    if place.is_file():
        yield place.name, place.stat()
        return
    for name, stat in files_below(place):
        if not any(part.startswith(".") for part in name.split("/")):
            yield name, stat
