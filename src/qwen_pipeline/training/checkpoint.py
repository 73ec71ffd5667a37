"""Checkpoints that are whole or not there, and the newest of which can always be gone on from.

A checkpoint is a folder ``checkpoint-<step>`` with the adapter (``adapter_model.safetensors``) and, unless it was
stripped, the training state (``state.pt``).
"""

import logging
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from qwen_pipeline.errors import CheckpointError, DiskSpaceError
from qwen_pipeline.memory.measure import MIB
from qwen_pipeline.training.patient_writer import RESERVE_BYTES, PatientWriter

logger = logging.getLogger(__name__)

ADAPTER, STATE, BEST = "adapter_model.safetensors", "state.pt", "best.safetensors"
_NAME = re.compile(r"checkpoint-[0-9]+")


class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        folder: Where they are; one folder a fingerprint.
    """

    def __init__(
        self,
        folder: Path,
        *,
        total_limit: int | None,
        only_model: bool,
        writer: PatientWriter | None = None,
    ) -> None:
        self.folder = folder
        self._limit, self._only_model = total_limit, only_model
        self._writer = writer or PatientWriter(folder)

    def require_space(self, model: PeftModel, saves: int) -> int:
        """Check before a run that all it will write fits; returns the bytes.

        Args:
            model: Whose adapters are written.
            saves: Checkpoints that the run will write, if none is dropped.

        Raises:
            DiskSpaceError: It does not.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = saves if self._limit is None else min(saves, self._limit)
        whole, adapters = checkpoint_bytes(model), adapter_bytes(model)
        older = adapters if self._only_model else whole
        # The newest, the one before it until the newest is whole, the older ones, and the best adapter.
        needed = min(saves, 2) * whole + max(0, kept - 1) * older + adapters + RESERVE_BYTES
        if (free := self._writer.free_bytes(self.folder)) < needed:
            raise DiskSpaceError(
                f"Checkpoints need {needed / MIB:.0f} MiB in {self.folder} and {free / MIB:.0f} are free; make room, "
                "or set save_total_limit=1, save_only_model=true or save_strategy=no."
            )
        return needed

    def save(self, step: int, model: PeftModel, state: dict[str, Any]) -> Path:
        """Write a checkpoint, then drop what is beyond ``save_total_limit``.

        Raises:
            CheckpointError: The disk stayed full for the whole pause, or the folder cannot be written.
        """

        def write(folder: Path) -> None:
            folder.mkdir()
            _save_adapter(model, folder / ADAPTER)
            # torch tells a stream's failure, and none of its own files'
            with (folder / STATE).open("wb") as stream:
                torch.save(state, stream)

        target = self._writer.put(
            f"checkpoint-{step}", write, checkpoint_bytes(model), f"The checkpoint of step {step}"
        )
        self._prune(target)
        return target

    def save_best(self, model: PeftModel) -> None:
        """Keep the adapter with the lowest validation loss so far.

        Raises:
            CheckpointError: As in `save`.
        """
        self._writer.put(
            BEST, lambda path: _save_adapter(model, path), adapter_bytes(model), "The best adapter"
        )

    def load_best(self, model: PeftModel) -> bool:
        """Put the best adapter back; whether there is one.

        Raises:
            CheckpointError: It is damaged.
        """
        path = self.folder / BEST
        if not path.is_file():
            return False
        try:
            load_adapter_weights(model, load_file(path))
        except SafetensorError as failure:
            raise CheckpointError(
                f"The best adapter, {path}, is damaged ({failure}). Remove {self.folder} and run again: the training starts "
                "at its first step."
            ) from failure
        return True

    def newest(self, *, mapped: bool = False) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be gone on from, with its state; damaged ones are passed over.

        Args:
            mapped: Leave the state's tensors in the file until they are looked at, for a caller that wants the rest.
        """
        for folder in reversed(self._all()):
            try:
                return folder, _read_state(folder / STATE, mapped)
            except FileNotFoundError:
                continue
            except Exception as failure:  # whatever a damaged file makes torch raise
                logger.warning("%s is damaged and is passed over: %s", folder, failure)
        return None

    def finish(self) -> None:
        """The training's results are published: a later one with the same settings starts afresh.

        Until then the states stay. A run that was killed between its last step and the publishing goes on from the
        newest of them, and has nothing to do but publish.
        """
        for folder in self._all():
            (folder / STATE).unlink(missing_ok=True)

    def drop_after(self, step: int) -> None:
        """Remove the checkpoints of later steps: a rolled-back training must not be gone on from there."""
        for folder in self._all():
            if _step_of(folder) > step:
                shutil.rmtree(folder, ignore_errors=True)

    def clear_leftovers(self) -> None:
        """Remove what a killed save left behind."""
        self._writer.clear_leftovers()

    def _all(self) -> list[Path]:
        """Folders of checkpoints, oldest first; copies that somebody made under other names are left alone."""
        return sorted(
            (path for path in self.folder.glob("checkpoint-*") if _NAME.fullmatch(path.name)), key=_step_of
        )

    def _prune(self, newest: Path) -> None:
        """Older checkpoints lose their state with ``save_only_model``, and go beyond ``save_total_limit``."""
        older = [path for path in self._all() if path != newest]
        if self._only_model:
            for path in older:
                (path / STATE).unlink(missing_ok=True)
        if self._limit is not None:
            for path in older[: max(0, len(older) + 1 - self._limit)]:
                shutil.rmtree(path, ignore_errors=True)


class FollowedCheckpoints(Checkpoints):
    """Those that the first of several processes writes, for the others: read, and never changed."""

    def require_space(self, model: PeftModel, saves: int) -> int:
        """Nothing is written here."""
        return 0

    def save(self, step: int, model: PeftModel, state: dict[str, Any]) -> Path:
        """Where the first process writes it."""
        return self.folder / f"checkpoint-{step}"

    def save_best(self, model: PeftModel) -> None:
        """The first process does."""

    def drop_after(self, step: int) -> None:
        """The first process does."""

    def clear_leftovers(self) -> None:
        """The first process does."""


def adapter_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    """A copy of the adapters by name, on the host."""
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weights[name].detach().to("cpu", copy=True).contiguous() for name in sorted(weights)}


def load_adapter_weights(model: PeftModel, weights: dict[str, torch.Tensor]) -> None:
    """Put adapters back into the model, in place."""
    set_peft_model_state_dict(model, weights)


def adapter_bytes(model: PeftModel) -> int:
    """Bytes of the adapters."""
    return sum(int(p.numel()) * int(p.element_size()) for p in model.parameters() if p.requires_grad)


def checkpoint_bytes(model: PeftModel) -> int:
    """Most bytes of a checkpoint with its state: the adapters, and three states of them and of their two moments.

    The three are the present one, the one to go back to after a divergence, and one that is to replace it.
    """
    return (1 + 3 * 3) * adapter_bytes(model)


def _read_state(path: Path, mapped: bool) -> dict[str, Any]:
    """A training state; unless its tensors stay in the file, every byte is checked.

    Source: torch 2.13 writes a checksum for each tensor and reads it with none checked. Can go when it checks.
    """
    with zipfile.ZipFile(path) as archive:
        if not mapped and (part := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{part} in {path.name} is not what was written")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return state


def _save_adapter(model: PeftModel, path: Path) -> None:
    path.write_bytes(save(adapter_weights(model)))


def _step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
