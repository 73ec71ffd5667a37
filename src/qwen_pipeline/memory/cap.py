"""`max_memory_gb` as a hard cap on what the process takes from the card, as nvidia-smi shows it.

The process's memory is the CUDA context (driver, kernels, library handles) plus what PyTorch's allocator
has reserved. Only the second can be limited, so it gets what the first leaves.
"""

from dataclasses import dataclass

import torch

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.measure import GIB, MemoryMeter, host_memory_bytes

# A context with the kernels of PyTorch, cuBLAS and bitsandbytes loaded lazily, where NVML does not tell:
# 0.3 GiB (consumer cards) to 0.55 GiB (data centre cards) are usual. Source: nvidia-smi readings published
# with PyTorch 2.x; the value measured on the card replaces it.
CONTEXT_GIB = 0.5
# On a CPU oneDNN builds a kernel for every shape it meets and keeps it. Measured on the demo's training: resident
# memory grew by 0.55 GiB beyond the planned tensors (benchmarks/LOG.md).
CPU_KERNELS_GIB = 0.55


@dataclass(frozen=True)
class MemoryCap:
    """How `max_memory_gb` is divided.

    Attributes:
        limit_gib: The most that the process may take.
        context_gib: Of it, what the allocator has no say in: on a CPU the libraries that are loaded.
        enforced: Whether the allocator refuses more; on a CPU only the plan keeps to the limit.
    """

    limit_gib: float
    context_gib: float
    enforced: bool

    @property
    def usable_gib(self) -> float:
        """What is left for tensors and the allocator's slack."""
        return self.limit_gib - self.context_gib


def planned_cap(
    max_memory_gb: float, device_type: str = "cuda", context_gib: float | None = None
) -> MemoryCap:
    """The division to expect, without touching a device.

    Args:
        max_memory_gb: The user's cap, GiB.
        device_type: ``cuda`` or ``cpu``.
        context_gib: The context's size if it has been measured; otherwise `CONTEXT_GIB`, and on a CPU what
            this process holds now and what oneDNN will.

    Raises:
        MemoryPlanError: The context alone takes the whole cap.
    """
    context = _usual_context_gib(device_type) if context_gib is None else context_gib
    if context >= max_memory_gb:
        what = "CUDA context" if device_type == "cuda" else "libraries"
        raise MemoryPlanError(
            f"max_memory_gb={max_memory_gb:g} leaves nothing beside the {what} of {context:.2f} GiB; "
            f"set max_memory_gb={context + 1:.0f} or more."
        )
    return MemoryCap(max_memory_gb, context, enforced=False)


def _usual_context_gib(device_type: str) -> float:
    return CONTEXT_GIB if device_type == "cuda" else host_memory_bytes()[0] / GIB + CPU_KERNELS_GIB


def apply_memory_cap(max_memory_gb: float, meter: MemoryMeter) -> MemoryCap:
    """Make the allocator keep to the cap; call it before anything large is loaded.

    Args:
        max_memory_gb: The cap, GiB.
        meter: Reads the device that trains; a CPU is not limited.

    Returns:
        The division, with the context as measured where the driver says.

    Raises:
        MemoryPlanError: The context alone takes the whole cap.
    """
    if meter.device.type != "cuda":
        return planned_cap(max_memory_gb, meter.device.type)
    context_gib = measure_context_gib(meter)
    cap = planned_cap(max_memory_gb, "cuda", context_gib)
    total_gib = torch.cuda.get_device_properties(meter.device).total_memory / GIB
    limit_gib = min(cap.limit_gib, total_gib)
    fraction = min(1.0, (limit_gib - cap.context_gib) / total_gib)
    torch.cuda.set_per_process_memory_fraction(fraction, meter.device)
    return MemoryCap(limit_gib, cap.context_gib, enforced=True)


def measure_context_gib(meter: MemoryMeter) -> float | None:
    """The CUDA context's size after a first product, or None where the driver does not tell."""
    small = torch.ones(64, 64, device=meter.device, dtype=torch.bfloat16)
    torch.mm(small, small)
    torch.cuda.synchronize(meter.device)
    process = meter.process_bytes()
    if process is None:
        return None
    return max(0, process - torch.cuda.memory_reserved(meter.device)) / GIB
