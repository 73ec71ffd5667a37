"""The CUDA allocator's configuration."""

import os
from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, ok, warning
from qwen_pipeline.memory.allocator import VARIABLES, has_expandable_segments

ORDER = 90
KNOWN = frozenset(
    {
        "backend", "expandable_segments", "garbage_collection_threshold", "max_split_size_mb",
        "pinned_use_background_threads", "pinned_num_register_threads", "pinned_use_cuda_host_register",
        "release_lock_on_cudamalloc", "roundup_power2_divisions",
    }
)  # fmt: skip


def check(inspection: Inspection) -> Iterator[Finding]:
    """Tell what the allocator was asked for, and options that torch would refuse."""
    given = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if not given:
        kind = "expandable segments" if has_expandable_segments() else "PyTorch's own, as Windows wants them"
        yield ok("allocator", f"no allocator settings of yours; training takes {kind}")
    for name, value in given.items():
        unknown = [part for part in _options(value) if part not in KNOWN]
        if unknown:
            yield warning("allocator", f"{name} has unknown options: {', '.join(unknown)}", f"unset {name}")
        else:
            yield ok("allocator", f"{name}={value}")


def _options(value: str) -> list[str]:
    return [part.partition(":")[0].strip() for part in value.split(",") if ":" in part]
