"""Facts about the machine, each read once and in one place, so that a test can stand in for them."""

import importlib.util
import os
import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.durable import existing_parent

GIB = 2**30
REMOUNT = "mount it writable, or copy the project to a disk that is"


@dataclass(frozen=True)
class TorchBuild:
    """What torch says of itself; ``cuda`` is ``(major, minor)`` or ``None`` for a CPU or ROCm build, ``hip`` ROCm's version."""

    version: str
    cuda: tuple[int, int] | None
    hip: str | None = None


@dataclass(frozen=True)
class NvidiaDriver:
    """What NVML says of the card that trains; memory in bytes, ``cards`` the number of visible ones like it."""

    version: str
    card: str
    capability: tuple[int, int] | None
    total_bytes: int
    free_bytes: int
    cards: int = 1

    @property
    def major(self) -> int:
        """The driver branch, as 580 in 580.95.05."""
        return int(self.version.partition(".")[0])


def read_torch_build() -> TorchBuild | None:
    """What the installed torch was built for, or ``None`` without one; read from its files, as importing it takes seconds."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        written = runpy.run_path(str(Path(found.origin).with_name("version.py")))
        cuda = written["cuda"]
        numbers = tuple(int(part) for part in cuda.split(".")[:2]) if cuda else None
        return TorchBuild(
            written["__version__"], (numbers[0], numbers[1]) if numbers else None, written.get("hip")
        )
    except (OSError, KeyError, IndexError, ValueError):
        return None


def read_driver() -> NvidiaDriver | None:
    """Ask NVML for driver and the card that trains, or ``None`` without either."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver library, no permission: no driver as far as we go
        return None
    try:
        handle = find_first_card(pynvml)
        if handle is None:
            return None
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return NvidiaDriver(
            version=_text(pynvml.nvmlSystemGetDriverVersion()),
            card=_text(pynvml.nvmlDeviceGetName(handle)),
            capability=tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
            total_bytes=int(memory.total),
            free_bytes=int(memory.free),
            cards=count_like(handle, pynvml),
        )
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def find_first_card(nvml: Any) -> Any:
    """The handle of the card that CUDA counts as its first, where training runs; ``None`` where it is to see none.

    The driver counts by slot, CUDA from the fastest card down. Source: CUDA C++ Programming Guide, "CUDA Environment Variables".

    Args:
        nvml: A module with NVML's functions.
    """
    count = nvml.nvmlDeviceGetCount()
    handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
    if os.environ.get("CUDA_DEVICE_ORDER", "").upper() != "PCI_BUS_ID" and count > 1:
        handles.sort(key=nvml.nvmlDeviceGetCudaComputeCapability, reverse=True)  # about the fastest first
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if chosen.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(chosen)
    return handles[int(chosen)] if chosen.isdigit() and int(chosen) < count else None


def count_like(card: Any, nvml: Any) -> int:
    """Visible cards of the generation of ``card``, with it: those that can share a training."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len(visible.split(","))
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    generation = nvml.nvmlDeviceGetCudaComputeCapability(card)
    return sum(nvml.nvmlDeviceGetCudaComputeCapability(handle) == generation for handle in handles)


def free_disk_bytes(path: Path) -> int:
    """Free bytes for this user on the file system that holds ``path`` or its nearest parent."""
    return shutil.disk_usage(existing_parent(path)).free


def is_writable(directory: Path) -> bool:
    """Whether a file can be made in ``directory``, or the directory itself where it is missing."""
    return os.access(existing_parent(directory), os.W_OK | os.X_OK)


def is_mounted_read_only(path: Path) -> bool:
    """Whether the file system of ``path`` or its nearest parent takes no writing, whatever rights a user has."""
    return hasattr(os, "statvfs") and bool(os.statvfs(existing_parent(path)).f_flag & os.ST_RDONLY)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
