"""Checkpoints that are whole or not there, and the newest of which can always be gone on from.

A checkpoint is a folder ``checkpoint-<step>`` with the adapter (``adapter_model.safetensors``) and, unless it was
stripped, the training state (``state.pt``). It is written beside and renamed.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from qwen_pipeline.errors import CheckpointError, DiskSpaceError

logger = logging.getLogger(__name__)

ADAPTER, STATE, BEST = "adapter_model.safetensors", "state.pt", "best"
MIB = 2**20
RESERVE_BYTES = 16 * MIB  # left for the log, the tracker and the reports
WAIT_SECONDS = 5.0
PATIENCE_SECONDS = 600.0  # how long a run pauses on a full disk before it stops


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
        free_bytes: Callable[[Path], int] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.folder = folder
        self._limit, self._only_model = total_limit, only_model
        self._free_bytes = free_bytes or (lambda path: shutil.disk_usage(path).free)
        self._patience = patience_seconds

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
        if (free := self._free_bytes(self.folder)) < needed:
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
        self._wait_for_space(model)
        target = self.folder / f"checkpoint-{step}"
        partial = self.folder / f".partial-{step}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            save_file(adapter_weights(model), partial / ADAPTER)
            torch.save(state, partial / STATE)
            _flush(partial)
            if target.exists():
                target.rename(self.folder / f".partial-replaced-{step}-{os.getpid()}")
            partial.rename(target)
            _flush_folder(self.folder)
            self.clear_leftovers()
        except OSError as failure:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"The checkpoint of step {step} cannot be written to {self.folder} ({failure.strerror or failure}); the "
                "one before stays. Make room or fix the folder's rights and run again: training goes on from there."
            ) from failure
        self._prune(target)
        return target

    def save_best(self, model: PeftModel) -> None:
        """Keep the adapter with the lowest validation loss so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".partial-best-{os.getpid()}"
        save_file(adapter_weights(model), partial)
        partial.replace(self.folder / f"{BEST}.safetensors")

    def load_best(self, model: PeftModel) -> bool:
        """Put the best adapter back; whether there is one."""
        path = self.folder / f"{BEST}.safetensors"
        if path.is_file():
            load_adapter_weights(model, load_file(path))
        return path.is_file()

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be gone on from, with its state; damaged ones are passed over."""
        for folder in reversed(self._all()):
            try:
                return folder, torch.load(folder / STATE, map_location="cpu", weights_only=False)
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
        for path in self.folder.glob(".partial-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*"), key=_step_of)

    def _prune(self, newest: Path) -> None:
        """Older checkpoints lose their state with ``save_only_model``, and go beyond ``save_total_limit``."""
        older = [path for path in self._all() if path != newest]
        if self._only_model:
            for path in older:
                (path / STATE).unlink(missing_ok=True)
        if self._limit is not None:
            for path in older[: max(0, len(older) + 1 - self._limit)]:
                shutil.rmtree(path, ignore_errors=True)

    def _wait_for_space(self, model: PeftModel) -> None:
        """On a full disk pause with one clear line and go on when there is room."""
        self.folder.mkdir(parents=True, exist_ok=True)
        needed = checkpoint_bytes(model) + RESERVE_BYTES
        deadline, told = time.monotonic() + self._patience, False
        while (free := self._free_bytes(self.folder)) < needed:
            if time.monotonic() >= deadline:
                raise CheckpointError(
                    f"The disk of {self.folder} has {free / MIB:.0f} MiB free and a checkpoint needs {needed / MIB:.0f}; "
                    "the last good one is kept. Make room and run again: training goes on from there."
                )
            if not told:
                logger.warning(
                    "Paused: %s has %.0f MiB free and a checkpoint needs %.0f. Make room; training goes on by itself.",
                    self.folder,
                    free / MIB,
                    needed / MIB,
                )
                told = True
            time.sleep(min(WAIT_SECONDS, max(0.0, deadline - time.monotonic())))


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


def _step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable; Windows has no such call and needs none."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
