"""Versions that are whole or not there: written beside, flushed to disk, sealed, then renamed.

Kedro loads the lexically latest version folder, so a half-written one would shadow a good one. Every
dataset of this project therefore writes into a hidden sibling first. In an incremental run the renames
of all outputs of a node come together, after the last of them is whole.
"""

import json
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kedro.io import AbstractDataset, AbstractVersionedDataset, Version
from kedro.io.core import VERSION_FORMAT
from kedro_datasets._typing import HTMLPreview, JSONPreview

from qwen_pipeline.errors import VersionError
from qwen_pipeline.incremental.durable import copy_folder, flush_folder, flush_tree, link_or_copy
from qwen_pipeline.incremental.publication import (
    current_publication,
    partial_beside,
    staged_beside,
    unpublished,
)
from qwen_pipeline.incremental.seal import damage_of, make_seal, read_seal, state_of, write_seal
from qwen_pipeline.incremental.workspace import ledger_above

TEXTUAL = ("json.JSONDataset", "text.TextDataset", "yaml.YAMLDataset")
# These open files in the encoding of the locale, which on Windows or under LANG=C lacks most of what people write.
UTF_8 = {f"open_args_{way}": {"encoding": "utf-8"} for way in ("load", "save")}

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
        volatile: Sequence[str] = (),
    ) -> None:
        """Name the place of the versions.

        Args:
            filepath: Folder of the versions; the data in each has its name too.
            version: The versions to load and to save.
            metadata: For Kedro-Viz and the like.
            volatile: Dotted keys of a JSON document that say when or how fast, not what: a version that
                differs from the last only in them counts as equal.
        """
        self.metadata = metadata
        self._volatile = tuple(volatile)
        self._whole: tuple[Any, ...] = ()
        super().__init__(PurePosixPath(filepath), version or Version(None, None))

    @abstractmethod
    def write(self, data: In, path: Path) -> None:
        """Write ``data`` to ``path``, a file or a folder that does not exist yet."""

    @abstractmethod
    def read(self, path: Path) -> Out:
        """Read what :meth:`write` wrote."""

    def save(self, data: In) -> None:
        """Write a new version; in an incremental run it appears when the node's other outputs do.

        Raises:
            VersionError: The folder cannot be written, or the disk is full.
            FileExistsError, NotADirectoryError: A file stands where a folder is needed.
        """
        folder = self.version_folder(str(self.resolve_save_version()))
        self._get_save_path()  # Kedro's own check that the version is new
        publication = current_publication()
        staged = staged_beside(folder) if publication else partial_beside(folder)
        try:
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(parents=True)
            self.write(data, staged / self._filepath.name)
            write_seal(staged, make_seal(staged, self._volatile))
            flush_tree(staged)
            if publication:
                publication.hold(folder)
            else:
                staged.rename(folder)
                flush_folder(folder.parent)
        except OSError as failure:
            shutil.rmtree(staged, ignore_errors=True)
            if isinstance(failure, FileExistsError | NotADirectoryError):
                raise  # neither room nor rights help
            raise VersionError(
                f"{self._filepath} cannot be written: {failure.strerror or failure}. "
                "Make room or give this user the right to write there; the version before stays in force."
            ) from failure
        self._cached_load_version = folder.name

    def load(self) -> Out:
        """Read the version in force.

        Raises:
            VersionError: Its files are not what was written.
        """
        if damage := self.damage(verify=True):
            raise VersionError(
                f"{self._filepath} {damage} (version {self.resolve_load_version()}). "
                "Run kedro run: it is made again, or an equal version is taken back."
            )
        return self.read(Path(self._get_load_path()))

    def resolve_save_version(self) -> str | None:
        """The version to save: the time, or just after the newest where the clock was set back behind that."""
        asked, newest = super().resolve_save_version(), self.newest_version()
        return _just_after(newest, asked) if asked and newest and newest > asked else asked

    @property
    def versions_folder(self) -> Path:
        """Where the versions are."""
        return Path(self._filepath)

    def version_folder(self, version: str) -> Path:
        """The folder of one version."""
        return Path(self._get_versioned_path(version)).parent

    def versions(self) -> list[str]:
        """All versions there are, the newest first."""
        return [Path(path).parent.name for path in self._get_versions()]

    def newest_version(self) -> str | None:
        """The newest version there is, whatever version is to be loaded."""
        return next(iter(self.versions()), None)

    def newest_path(self) -> Path:
        """The data of the version that would be loaded.

        Raises:
            VersionError: There is none.
        """
        version = self.load_version()
        if version is None:
            raise VersionError(f"{self._filepath} has not been made; run: kedro run")
        return Path(self._get_versioned_path(version))

    def load_version(self) -> str | None:
        """The version that would be loaded; ``None`` where there is none."""
        if self._version and self._version.load:
            return str(self._version.load)
        return self._cached_load_version or self.newest_version()

    def digest(self, version: str) -> str | None:
        """Content digest of a version without its volatile parts, as sealed."""
        seal = read_seal(self.version_folder(version))
        return seal.digest if seal else None

    def damage(self, version: str | None = None, verify: bool = False) -> str | None:
        """What is wrong with a version (by default the one to be loaded), in words.

        A version without a seal was made by another program; nothing is known of it.
        """
        version = version or self.load_version()
        if version is None:
            return None
        folder = self.version_folder(version)
        if self._whole and self._whole == state_of(folder):  # verified in this process, and not touched since
            return None
        seal = read_seal(folder)
        found = damage_of(folder, seal, verify) if seal else None
        if found is None and verify:
            self._whole = state_of(folder)
        return found

    def link_version(self, old: str, new: str) -> None:
        """Stage an old version once more as a new one, by hard links where the disk has them."""
        target = staged_beside(self.version_folder(new))
        shutil.rmtree(target, ignore_errors=True)
        copy_folder(self.version_folder(old), target, link_or_copy)
        flush_tree(target)
        self._clear_version_cache()

    def _get_versions(self) -> list[str]:
        hidden = unpublished(ledger_above(Path(self._filepath).absolute()))
        found: list[str] = super()._get_versions()
        return [path for path in found if str(Path(path).parent.resolve()) not in hidden]

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}

    def _exists(self) -> bool:
        version = self.load_version()
        return version is not None and Path(self._get_versioned_path(version)).exists()


class AtomicFileDataset(AtomicDataset[Any, Any]):
    """Any single-file dataset of kedro-datasets, made atomic; ``train_report`` in conf/base/catalog.yml shows how."""

    def __init__(
        self,
        *,
        filepath: str,
        dataset: dict[str, Any],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
        volatile: Sequence[str] = (),
    ) -> None:
        super().__init__(filepath=filepath, version=version, metadata=metadata, volatile=volatile)
        self._inner = dataset
        shown = {"json.JSONDataset": self._preview_json, "text.TextDataset": self._preview_page}
        if dataset.get("type") in shown:  # Kedro-Viz reads the kind from the annotation of `preview`
            self.preview = shown[dataset["type"]]

    def write(self, data: Any, path: Path) -> None:
        """Let the inner dataset write the file."""
        self._at(path).save(data)

    def read(self, path: Path) -> Any:
        """Let the inner dataset read the file."""
        return self._at(path).load()

    def _preview_json(self) -> JSONPreview:
        return JSONPreview(json.dumps(self.load(), ensure_ascii=False))

    def _preview_page(self) -> HTMLPreview:
        return HTMLPreview(str(self.load()))

    def _at(self, path: Path) -> AbstractDataset[Any, Any]:
        config = {**self._inner, "filepath": path.as_posix()}
        if config.get("type") in TEXTUAL:
            config["fs_args"] = {**UTF_8, **config.get("fs_args", {})}
        return AbstractDataset.from_config(path.name, config)


def _just_after(newest: str, asked: str) -> str:
    """A name that sorts after ``newest``, which the latest would otherwise hide behind; ``asked`` where it is no time."""
    try:
        later = datetime.strptime(newest, VERSION_FORMAT) + timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return asked
    return f"{later.strftime(VERSION_FORMAT)[:-4]}Z"
