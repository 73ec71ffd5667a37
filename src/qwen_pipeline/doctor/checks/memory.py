"""Free GPU and host memory against ``max_memory_gb`` (S1, S2)."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, ok, warning
from qwen_pipeline.doctor.machine import read_driver

ORDER = 50
GIB = 2**30
LEAST_HOST_BYTES = 3 * GIB  # torch, transformers, the demo and one data stage


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare what is free now with what the run may take."""
    import psutil

    available = int(psutil.virtual_memory().available)
    fact = f"host: {available / GIB:.1f} GiB available"
    if available < LEAST_HOST_BYTES:
        remedy = "close other programs, or set dataloader_num_workers=0"
        yield warning("memory", f"{fact}, about {LEAST_HOST_BYTES // GIB} needed", remedy)
    else:
        yield ok("memory", fact)
    cap = inspection.parameter("max_memory_gb")
    if (driver := read_driver()) is not None and isinstance(cap, int | float):
        yield judge_card(driver.free_bytes, driver.total_bytes, float(cap))


def judge_card(free_bytes: int, total_bytes: int, cap_gib: float) -> Finding:
    """Whether the card has the memory that ``max_memory_gb`` promises.

    Args:
        free_bytes: Free memory as NVML shows it.
        total_bytes: The card's memory.
        cap_gib: ``max_memory_gb``, in GiB.
    """
    fact = f"GPU: {free_bytes / GIB:.1f} of {total_bytes / GIB:.1f} GiB free; max_memory_gb={cap_gib:g}"
    if free_bytes >= cap_gib * GIB:
        return ok("memory", fact)
    fitting = int(free_bytes / GIB * 10) / 10
    return warning("memory", fact, f"free the card (nvidia-smi), or set max_memory_gb={fitting:g}")
