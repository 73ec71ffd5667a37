"""`max_memory_gb` as a hard cap on what the process takes from the card, as nvidia-smi shows it.

The process's memory is the CUDA context (driver, kernels, library handles) plus what PyTorch's allocator
has reserved. Only the second can be limited, so it gets what the first leaves. Where other processes have taken so
much of the card that less than the cap is free, what is free is the cap. On a CPU nothing can be limited: there the plan keeps to
the cap, and to what the machine or the container leaves, since the kernel would end the process without a word.
"""

import logging
from dataclasses import dataclass

import torch

from qwen_pipeline.container import available_memory_bytes
from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.allocator import use_expandable_segments
from qwen_pipeline.memory.measure import GIB, MemoryMeter, host_memory_bytes
from qwen_pipeline.memory.recovery import release_memory

logger = logging.getLogger(__name__)

# A context with the kernels of PyTorch, cuBLAS and bitsandbytes loaded lazily, where NVML does not tell:
# 0.3 GiB (consumer cards) to 0.55 GiB (data centre cards) are usual. Source: nvidia-smi readings published
# with PyTorch 2.x; the value measured on the card replaces it.
CONTEXT_GIB = 0.5
# The context grows after it has been measured, when a kernel runs for the first time: CUDA loads modules lazily. Flash attention,
# bitsandbytes and cuBLAS's other kernels are tens of MiB each once loaded. An estimate from the sizes of their binaries, not
# measured on a card yet; `CONTEXT_GIB` has it in it.
LATER_KERNELS_GIB = 0.1
# Of the host's free memory: the plan is within 5 % of what is then measured, and the libraries' own is an estimate.
HOST_SHARE = 0.9
# Less of a shortage than this is the driver's own and nobody's doing.
WORTH_TELLING_GIB = 0.1
# On a CPU oneDNN builds a kernel for every shape it meets and keeps it. Measured on the demo's training: resident
# memory grew by 0.55 GiB beyond the planned tensors (benchmarks/LOG.md).
CPU_KERNELS_GIB = 0.55


@dataclass(frozen=True)
class MemoryCap:
    """How `max_memory_gb` is divided.

    Attributes:
        limit_gib: The most that the process may take.
        context_gib: Of it, what the allocator has no say in: on a CPU the libraries that are loaded.
        is_shortage: Whether less is free than `max_memory_gb` allows, so that a higher one would not help.
    """

    limit_gib: float
    context_gib: float
    is_shortage: bool = False

    @property
    def usable_gib(self) -> float:
        """What is left for tensors and the allocator's slack."""
        return self.limit_gib - self.context_gib

    def __str__(self) -> str:
        """What allows no more, for a message."""
        limit = f"{self.limit_gib:.1f}"
        return f"the free memory of {limit} GiB" if self.is_shortage else f"max_memory_gb={limit}"


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
    return MemoryCap(max_memory_gb, context)


def _usual_context_gib(device_type: str) -> float:
    return CONTEXT_GIB if device_type == "cuda" else host_memory_bytes()[0] / GIB + CPU_KERNELS_GIB


def apply_memory_cap(max_memory_gb: float, meter: MemoryMeter, sharers: int = 1) -> MemoryCap:
    """Make the allocator keep to the cap; call it before anything large is loaded. What an earlier stage left is let go.

    Args:
        max_memory_gb: The cap, GiB.
        meter: Reads the device that trains; nothing is limited on a CPU.
        sharers: Processes that start now and share the host's memory on a CPU; each has a card of its own elsewhere.

    Returns:
        The division: the cap, or what is free where that is less, with the context as measured where the driver says.

    Raises:
        MemoryPlanError: The context alone takes all that is allowed, or other processes leave no more than it.
    """
    release_memory()
    if meter.device.type != "cuda":
        return _host_cap(max_memory_gb, sharers)
    use_expandable_segments()
    context_gib = measure_context_gib(meter)
    cap = planned_cap(max_memory_gb, "cuda", context_gib)
    total_gib = torch.cuda.get_device_properties(meter.device).total_memory / GIB
    wanted_gib = min(max_memory_gb, total_gib)
    limit_gib = min(wanted_gib, _available_gib(meter, cap.context_gib))
    _tell_shortage(wanted_gib, limit_gib, cap.context_gib)
    fraction = min(1.0, (limit_gib - cap.context_gib) / total_gib)
    torch.cuda.set_per_process_memory_fraction(fraction, meter.device)
    return MemoryCap(limit_gib, cap.context_gib, limit_gib < max_memory_gb)


def _host_cap(max_memory_gb: float, sharers: int) -> MemoryCap:
    """The cap, or what this process has and may still take of the machine's or the container's memory.

    Raises:
        MemoryPlanError: The libraries and their kernels alone take all that is allowed or left.
    """
    cap = planned_cap(max_memory_gb, "cpu")
    left_gib = available_memory_bytes() / GIB / sharers
    limit_gib = host_memory_bytes()[0] / GIB + HOST_SHARE * left_gib
    if limit_gib <= cap.context_gib:
        raise MemoryPlanError(
            f"The machine or its container has {left_gib:.2f} GiB of memory left, and a training's kernels alone take "
            f"{CPU_KERNELS_GIB}. End other programs, or give the container more."
        )
    if limit_gib >= max_memory_gb:
        return cap
    logger.info(
        "The machine or its container has %.1f GiB of memory left, less than max_memory_gb=%g allows; the plan keeps to it.",
        left_gib,
        max_memory_gb,
    )
    return MemoryCap(limit_gib, cap.context_gib, is_shortage=True)


def _available_gib(meter: MemoryMeter, context_gib: float) -> float:
    """The most that this process can have now: what is free on the card and what it already holds."""
    free, _ = torch.cuda.mem_get_info(meter.device)
    held = meter.process_bytes()
    if held is None:  # a context of the usual size, of which the later kernels are not there yet
        context = round((context_gib - LATER_KERNELS_GIB) * GIB)
        held = context + torch.cuda.memory_reserved(meter.device)
    return (free + held) / GIB


def _tell_shortage(wanted_gib: float, limit_gib: float, context_gib: float) -> None:
    """Say it where other processes leave less than was asked for.

    Raises:
        MemoryPlanError: They leave nothing beside the context.
    """
    if limit_gib <= context_gib:
        raise MemoryPlanError(
            f"Other processes leave {limit_gib:.2f} GiB of the card, and the CUDA context alone takes {context_gib:.2f}. "
            "nvidia-smi shows them: end them, or choose another card with CUDA_VISIBLE_DEVICES."
        )
    if wanted_gib - limit_gib < WORTH_TELLING_GIB:
        return
    logger.warning(
        "Other processes leave %.1f GiB of the card where max_memory_gb allows %.1f; the run keeps to %.1f.",
        limit_gib,
        wanted_gib,
        limit_gib,
    )


def measure_context_gib(meter: MemoryMeter) -> float | None:
    """The CUDA context's size after a first product, with what later kernels add; None where the driver does not tell."""
    # In float16, which every card multiplies; cards before Turing refuse bfloat16. Source: pytorch/pytorch issue 57773.
    small = torch.ones(64, 64, device=meter.device, dtype=torch.float16)
    torch.mm(small, small)
    torch.cuda.synchronize(meter.device)
    process = meter.process_bytes()
    if process is None:
        return None
    return max(0, process - torch.cuda.memory_reserved(meter.device)) / GIB + LATER_KERNELS_GIB
