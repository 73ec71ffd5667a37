"""Free disk space against what the current parameters will write (S9)."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.doctor.machine import free_disk_bytes

ORDER = 60
GIB = 2**30
LEAST_BYTES = GIB  # below this even the demo's adapters, tables and pages are at risk
REMOTE_MODEL_BYTES = 24 * GIB  # 16-bit weights of a 4B model twice (hub cache and merge), and checkpoints


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare free space where the project writes with what a run of this model needs."""
    free = free_disk_bytes(inspection.project_path / "data")
    demo = inspection.parameter("model_name", "demo") == "demo"
    needed = LEAST_BYTES if demo else REMOTE_MODEL_BYTES
    fact = f"{free / GIB:.1f} GiB free, about {needed / GIB:.0f} needed"
    if free >= needed:
        yield ok("disk", fact)
        return
    remedy = "kedro prune --keep 1, or save_total_limit=1 save_only_model=true"
    yield error("disk", fact, remedy) if free < LEAST_BYTES else warning("disk", fact, remedy)
