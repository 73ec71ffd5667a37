"""Where a model that only reads and answers goes: on the card, under the run's cap, or on the host."""

import logging

import torch

from qwen_pipeline.container import available_memory_bytes
from qwen_pipeline.memory.cap import apply_memory_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.recovery import release_memory

logger = logging.getLogger(__name__)

SPARE = 1.2  # of the weights: what reading a row and answering it takes beside them


def keep_to_cap(max_memory_gb: float, device: torch.device) -> None:
    """`apply_memory_cap` for a stage without a plan; on a CPU what an earlier stage left is let go, and nothing limited.

    Args:
        max_memory_gb: The cap, GiB.
        device: Where the stage computes.

    Raises:
        MemoryPlanError: The CUDA context alone takes all that is allowed.
    """
    if device.type == "cuda":
        apply_memory_cap(max_memory_gb, MemoryMeter(device))
    else:
        release_memory()


def room_bytes(device: torch.device) -> int:
    """What this process may still take of a card: what is free on it, and what its cap leaves."""
    free, total = torch.cuda.mem_get_info(device)
    allowed = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_reserved(device)
    return max(0, int(min(free, allowed)))


def place_for(weight_bytes: int, device: torch.device, what: str) -> torch.device | None:
    """The card if the weights fit there with a fifth to spare, else the host if they fit there, else None.

    Args:
        weight_bytes: Of the model as it is loaded.
        device: Where the run computes; a card that is too small is told of.
        what: The model, for that message.
    """
    needed = int(SPARE * weight_bytes)
    host = torch.device("cpu") if available_memory_bytes() >= needed else None
    if device.type != "cuda":
        return host
    if (room := room_bytes(device)) >= needed:
        return device
    if host is not None:
        logger.warning(
            "%s needs %.1f GiB of the card, where max_memory_gb and other programs leave %.1f: it goes to the CPU, which is slow.",
            what,
            needed / GIB,
            room / GIB,
        )
    return host
