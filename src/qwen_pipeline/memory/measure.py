"""Reads memory and utilisation: the allocator's view, the driver's view and the host's."""

import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

GIB, MIB = 2**30, 2**20


@dataclass(frozen=True)
class MemoryReading:
    """One look at memory; a value that this machine cannot give is None.

    Attributes:
        host_resident_gib: Resident memory of this process.
        host_peak_gib: The most it was since `MemoryMeter.reset_peak`, or ever where the system counts no other.
        gpu_allocated_gib: Held by tensors.
        gpu_reserved_gib: Taken from the driver by the allocator.
        gpu_peak_allocated_gib: The most held by tensors since `MemoryMeter.reset_peak`.
        gpu_peak_reserved_gib: The most taken from the driver since then.
        gpu_process_gib: This process's memory as nvidia-smi shows it, context included.
        gpu_device_used_gib: Memory of the whole card in use, whoever uses it.
        gpu_utilisation_percent: Share of the last moments in which a kernel ran.
    """

    host_resident_gib: float
    host_peak_gib: float
    gpu_allocated_gib: float | None = None
    gpu_reserved_gib: float | None = None
    gpu_peak_allocated_gib: float | None = None
    gpu_peak_reserved_gib: float | None = None
    gpu_process_gib: float | None = None
    gpu_device_used_gib: float | None = None
    gpu_utilisation_percent: float | None = None

    def as_metrics(self, prefix: str = "memory/") -> dict[str, float]:
        """The values that are known, by name, for the tracker."""
        return {prefix + name: value for name, value in asdict(self).items() if value is not None}


class MemoryMeter:
    """Reads the memory of one device and of this process.

    Everything about the driver goes through NVML; where it is missing or refuses, those values are None.
    """

    def __init__(self, device: torch.device | str = "cpu", nvml: Any = None) -> None:
        """Open the device.

        Args:
            device: The device that trains.
            nvml: A module with NVML's functions; by default ``pynvml``, imported when first needed.
        """
        self.device = torch.device(device)
        self._nvml: Any = nvml
        self._handle: Any = None
        if self.device.type == "cuda" or nvml is not None:
            self._open()

    def read(self) -> MemoryReading:
        """Look at everything once; takes well under a millisecond and does not wait for the GPU."""
        resident, peak = host_memory_bytes()
        return MemoryReading(resident / GIB, peak / GIB, **self._read_allocator(), **self._read_driver())

    def reset_peak(self) -> None:
        """Let the peaks of the allocator and of this process start again from now."""
        with suppress(OSError):  # no such file but on Linux; a container may forbid it
            Path("/proc/self/clear_refs").write_text("5")
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def process_bytes(self) -> int | None:
        """Bytes that the driver books on this process, or None if it does not say.

        In a container the driver may list processes by their numbers outside; then it cannot be known.
        """
        if self._handle is None:
            return None
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except Exception:  # NVML raises its own type, which cannot be named without importing it.
            return None
        used = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
        return int(used[0]) if used and used[0] is not None else None

    def _open(self) -> None:
        try:
            if self._nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
            self._handle = self._find_handle()
        except Exception:  # No driver, no library, no permission: measured values are simply absent.
            self._handle = None

    def _find_handle(self) -> Any:
        """The card by its identity: its number in CUDA need not be its number in the driver."""
        if self.device.type == "cuda" and torch.cuda.is_available():
            uuid = getattr(torch.cuda.get_device_properties(self.device), "uuid", None)
            if uuid is not None:
                return self._handle_of(str(uuid))
        return self._nvml.nvmlDeviceGetHandleByIndex(self.device.index or 0)

    def _handle_of(self, uuid: str) -> Any:
        """A card, or a slice of one: CUDA gives the slice's own identity, which the driver knows under another name."""
        try:
            return self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        except Exception:  # NVML raises its own type
            return self._nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")

    def _read_allocator(self) -> dict[str, float]:
        if self.device.type != "cuda" or not torch.cuda.is_available():
            return {}
        return {
            "gpu_allocated_gib": torch.cuda.memory_allocated(self.device) / GIB,
            "gpu_reserved_gib": torch.cuda.memory_reserved(self.device) / GIB,
            "gpu_peak_allocated_gib": torch.cuda.max_memory_allocated(self.device) / GIB,
            "gpu_peak_reserved_gib": torch.cuda.max_memory_reserved(self.device) / GIB,
        }

    def _read_driver(self) -> dict[str, float]:
        if self._handle is None:
            return {}
        values: dict[str, float] = {}
        if (process := self.process_bytes()) is not None:
            values["gpu_process_gib"] = process / GIB
        try:
            values["gpu_device_used_gib"] = self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used / GIB
            rates = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
            values["gpu_utilisation_percent"] = float(rates.gpu)
        except Exception:  # Some cards (MIG slices) have no utilisation; what was read so far stands.
            pass
        return values


def host_memory_bytes() -> tuple[int, int]:
    """Resident memory of this process, now and at its highest, in bytes.

    Source: proc_pid_status(5), VmHWM; unlike getrusage's it can be reset (proc_pid_clear_refs(5)).
    """
    import psutil

    info = psutil.Process().memory_info()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        highest = next(line for line in lines if line.startswith("VmHWM:"))
        return int(info.rss), max(int(info.rss), int(highest.split()[1]) * 1024)
    if sys.platform == "win32":
        return int(info.rss), int(info.peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return int(info.rss), max(int(info.rss), most if sys.platform == "darwin" else most * 1024)
