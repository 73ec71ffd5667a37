"""Free disk space against what the current parameters will write (S9)."""

from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.checks.model_files import cache_folder, is_remote
from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.doctor.machine import GIB, free_disk_bytes
from qwen_pipeline.doctor.model_size import ModelSize, size_of_folder, size_of_name

ORDER = 60
LEAST_BYTES = GIB  # below this even the demo's adapters, tables and pages are at risk
TRAINING_STATE = 2.5  # a checkpoint is an adapter with its optimiser's two moments, at most in float32
UNKNOWN_MODEL_BYTES = 8 * GIB  # 16-bit weights of a 4B model


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare free space where the project writes, and where models are cached, with what a run needs."""
    source = inspection.model()
    if source.name == "demo":
        yield _judge("the project", inspection.project_path / "data", LEAST_BYTES)
        return
    size = size_of_folder(Path(source.name)) or size_of_name(source.name)
    yield _judge("the project", inspection.project_path / "data", needed_by_run(inspection, size))
    if is_remote(source):
        cache = cache_folder(source.name)
        present = sum(path.stat().st_size for path in cache.glob("blobs/*"))
        left = (size.bytes_16_bit if size else UNKNOWN_MODEL_BYTES) - present
        if left > 0:
            yield _judge("the hub cache", cache, left)


def needed_by_run(inspection: Inspection, size: ModelSize | None) -> int:
    """Bytes of checkpoints, adapter, tables and exported models.

    Args:
        inspection: Gives ``save_total_limit``, ``lora_r`` and ``export_formats``.
        size: The model's, ``None`` where nothing tells it.
    """
    formats = str(inspection.parameter("export_formats", "adapter+merged")).split("+")
    weights = size.bytes_16_bit if size else UNKNOWN_MODEL_BYTES
    copies = sum(name != "adapter" for name in formats)
    rank = int(inspection.parameter("lora_r", 16))
    adapter = (size.adapter_per_rank if size else 0) * rank * 4
    kept = int(inspection.parameter("save_total_limit") or 3) + 1
    return LEAST_BYTES + copies * weights + int(adapter * TRAINING_STATE * kept)


def _judge(what: str, path: Path, needed: int) -> Finding:
    free = free_disk_bytes(path)
    fact = f"{what}: {free / GIB:.1f} GiB free, about {needed / GIB:.1f} needed"
    if free >= needed:
        return ok("disk", fact)
    remedy = (
        "kedro prune --keep 1; or --params save_total_limit=1,save_only_model=true,export_formats=adapter"
    )
    if what != "the project":
        remedy = "export HF_HOME=/a/larger/disk, or remove models there with: hf cache ls"
    return error("disk", fact, remedy) if free < min(needed, LEAST_BYTES) else warning("disk", fact, remedy)
