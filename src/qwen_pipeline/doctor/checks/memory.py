"""Free GPU and host memory against ``max_memory_gb`` (S1, S2)."""

from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.container import available_memory_bytes
from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.doctor.machine import GIB, read_driver
from qwen_pipeline.doctor.model_size import size_of_folder, size_of_name

ORDER = 50
CONTEXT_GIB = 0.5  # what CUDA itself takes
ROOM_GIB = 1.0  # for activations of a short row
LEAST_HOST_BYTES = 3 * GIB  # torch, transformers, the demo and one data stage


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare what is free now with what the run may take."""
    available = available_memory_bytes()
    fact = f"host: {available / GIB:.1f} GiB available"
    if available < LEAST_HOST_BYTES:
        remedy = "close other programs, give a container more, or set dataloader_num_workers=0"
        yield warning("memory", f"{fact}, about {LEAST_HOST_BYTES // GIB} needed", remedy)
    else:
        yield ok("memory", fact)
    cap = inspection.parameter("max_memory_gb")
    if isinstance(cap, int | float):
        yield from judge_cap(inspection, float(cap))
    if (driver := read_driver()) is not None and isinstance(cap, int | float):
        yield judge_card(driver.free_bytes, driver.total_bytes, float(cap))


def judge_cap(inspection: Inspection, cap_gib: float) -> Iterator[Finding]:
    """Whether the model's 4-bit weights alone fit under ``max_memory_gb``; activations are the plan's matter."""
    source = inspection.model()
    size = size_of_folder(Path(source.name)) or size_of_name(source.name)
    if source.name == "demo" or size is None:
        return
    least = size.least_training_bytes(int(inspection.parameter("lora_r", 16))) / GIB + CONTEXT_GIB
    fact = f"model: {least:.1f} GiB before the first token; max_memory_gb={cap_gib:g}"
    if least < cap_gib:
        yield ok("memory", f"{fact} (the whole plan: kedro memory-plan)")
    else:
        yield error(
            "memory", fact, f"max_memory_gb={least + ROOM_GIB:.0f} or more, a smaller model, or lora_r=4"
        )


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
