"""The base model as a catalog entry.

Kedro-datasets has no class for it: this one hands on where the model is, not the model (no module and
no CUDA tensor crosses a node's boundary), and its fingerprint is of the model's content.
"""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from qwen_pipeline.incremental.content import file_digests, files_below
from qwen_pipeline.model.source import ModelSource


class BaseModelDataset(AbstractDataset[NoReturn, ModelSource]):
    """An external input: the demo, a folder or a hub model."""

    def __init__(
        self, model_name: str, model_revision: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Name the model; nothing is read, built or downloaded here.

        Args:
            model_name: ``demo``, a folder, or a hub id.
            model_revision: A hub branch, tag or commit.
            metadata: For Kedro-Viz and the like.
        """
        self._source = ModelSource(model_name, model_revision)
        self.metadata = metadata

    def load(self) -> ModelSource:
        """Where the model is; whoever needs files calls its ``directory``."""
        return self._source

    def save(self, data: NoReturn) -> None:
        """Refuse: a base model is an input.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("The base model is an input; no node can save it.")

    def fingerprint(self) -> dict[str, str]:
        """What identifies the model's content, without torch.

        Of a folder every byte of every visible file counts; a file that keeps size, times and inode is
        read once.

        Raises:
            ModelSourceError: The folder is not a whole model, or the hub cannot be reached.
        """
        if self._source.kind != "directory":
            return self._source.fingerprint()
        folder, digests = self._source.directory(), file_digests()
        return {
            name: digests.of(folder / name, stat)
            for name, stat in files_below(folder)
            if not any(part.startswith(".") for part in name.split("/"))
        }

    def require(self) -> None:
        """Notice a model that is not there, before any stage has worked for it; a hub is asked once.

        Raises:
            ModelSourceError: The folder is not a whole model, the hub cannot be reached, or the name is neither.
            UnsupportedModelError: The folder's model is not one that this project trains.
        """
        if self._source.kind == "directory":
            self._source.directory()
        elif self._source.kind == "hub":
            self._source.fingerprint()

    def part_label(self, part: str) -> str:
        """A part of the fingerprint as people know it."""
        return f"{self._source.name}/{part}"

    def _exists(self) -> bool:
        return self._source.kind != "directory" or self._source.path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"model_name": self._source.name, "model_revision": self._source.revision}
