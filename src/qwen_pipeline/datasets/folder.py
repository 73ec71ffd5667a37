"""Folders as versions: adapters, exported models, tokenized rows."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_pipeline.datasets.versioned import AtomicDataset
from qwen_pipeline.incremental.durable import copy_folder
from qwen_pipeline.incremental.workspace import is_work

if TYPE_CHECKING:
    import datasets


def _place(data: Path, path: Path) -> None:
    """Move a folder that the running node made, copy any other."""
    if is_work(data):
        shutil.move(data, path)
    else:
        copy_folder(data, path)


class FolderDataset(AtomicDataset[Path, Path]):
    """A finished folder, moved or copied into its version; loads the version's path."""

    def write(self, data: Path, path: Path) -> None:
        """Put the folder in place."""
        _place(data, path)

    def read(self, path: Path) -> Path:
        """The version's folder."""
        return path


class TokenizedDataset(AtomicDataset[Path, "datasets.Dataset"]):
    """A folder in the on-disk layout of Hugging Face ``datasets``; loads it memory-mapped."""

    def write(self, data: Path, path: Path) -> None:
        """Put the finished folder in place."""
        _place(data, path)

    def read(self, path: Path) -> "datasets.Dataset":
        """Open the rows."""
        from datasets import load_from_disk

        return load_from_disk(str(path))
