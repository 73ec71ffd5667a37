"""Folders as versions: adapters, exported models, tokenized rows."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_pipeline.datasets.versioned import AtomicDataset

if TYPE_CHECKING:
    import datasets


class FolderDataset(AtomicDataset[Path, Path]):
    """A finished folder, moved or copied into its version; loads the version's path."""

    def write(self, data: Path, path: Path) -> None:
        """Copy the folder; its files are linked where the disk allows it."""
        shutil.copytree(data, path)

    def read(self, path: Path) -> Path:
        """The version's folder."""
        return path


class TokenizedDataset(AtomicDataset[Path, "datasets.Dataset"]):
    """A folder in the on-disk layout of Hugging Face ``datasets``; loads it memory-mapped."""

    def write(self, data: Path, path: Path) -> None:
        """Copy the finished folder."""
        shutil.copytree(data, path)

    def read(self, path: Path) -> "datasets.Dataset":
        """Open the rows."""
        from datasets import load_from_disk

        return load_from_disk(str(path))
