"""A memory plan for people and for scripts."""

from typing import Any

from rich.table import Table

from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.plan import MemoryPlan

_TITLES = {
    "weights": "Weights (4-bit), embeddings, head, norms",
    "quantisation": "Quantisation state",
    "adapters": "Adapters",
    "gradients": "Gradients held",
    "optimiser": "Optimiser state",
    "optimiser_paged": "Optimiser state, paged",
    "activations": "Activations",
    "logits": "Logits (a chunk)",
    "workspace": "Workspace of a layer, dequantised weights included",
    "libraries": "cuBLAS workspace",
    "fragmentation": "Allocator: reserved, not used",
    "context": "CUDA context",
}
_ON_CPU = {"context": "Libraries and their kernels"}


def plan_report(plan: MemoryPlan) -> dict[str, Any]:
    """The plan as plain data, for ``--json``, the tracker and the train report.

    Returns:
        Settings, sizes in GiB by part at the moment of the peak, and whether they fit.
    """
    return {
        "settings": {
            "micro_batch_tokens": plan.max_tokens,
            "batch_size": plan.max_rows,
            "gradient_checkpointing": str(plan.policy),
        },
        "parts_gib": {name: round(value, 4) for name, value in plan.parts.as_gib().items()},
        "allocated_gib": round(plan.parts.allocated / GIB, 4),
        "reserved_gib": round(plan.parts.reserved / GIB, 4),
        "process_gib": round(plan.parts.process / GIB, 4),
        "max_memory_gb": plan.cap.limit_gib,
        "fits": plan.fits,
        "relative_time_per_token": round(plan.relative_time, 3),
    }


def plan_table(plan: MemoryPlan) -> Table:
    """The plan as a table: each part at the peak, the sums, and the settings in the caption."""
    table = Table(title="Memory at the peak of a training step", caption=describe_settings(plan))
    table.add_column("Part")
    table.add_column("GiB", justify="right")
    on_gpu = plan.parts.libraries > 0
    titles = _TITLES if on_gpu else _TITLES | _ON_CPU
    for name, size_gib in plan.parts.as_gib().items():
        if size_gib > 0:
            table.add_row(titles[name], f"{size_gib:.3f}")
    table.add_section()
    seen = ("max_memory_allocated", "as nvidia-smi shows it") if on_gpu else ("live", "resident memory")
    table.add_row(f"Tensors ({seen[0]})", f"{plan.parts.allocated / GIB:.3f}")
    table.add_row(f"Process ({seen[1]})", f"{plan.parts.process / GIB:.3f}")
    table.add_row("max_memory_gb", f"{plan.cap.limit_gib:.3f}", style="green" if plan.fits else "red")
    return table


def compare_with_measured(
    plan: MemoryPlan, allocated_gib: float | None, reserved_gib: float | None, process_gib: float | None
) -> dict[str, float]:
    """Planned and measured side by side, for the train report: measured over planned, minus one.

    Args:
        plan: The plan that the run followed.
        allocated_gib: ``max_memory_allocated`` of the run.
        reserved_gib: ``max_memory_reserved`` of the run.
        process_gib: The process's peak: as NVML shows it, or resident memory on a CPU.
    """
    found: dict[str, float] = {}
    for name, measured, planned in (
        ("allocated", allocated_gib, plan.parts.allocated / GIB),
        ("reserved", reserved_gib, (plan.parts.reserved - plan.parts.optimiser_paged) / GIB),
        ("process", process_gib, plan.parts.process / GIB),
    ):
        found[f"planned_{name}_gib"] = planned
        if measured is not None:
            found[f"measured_{name}_gib"] = measured
            found[f"{name}_error"] = measured / planned - 1
    return found


def describe_settings(plan: MemoryPlan) -> str:
    """Micro-batches and activations of a plan in one sentence."""
    kept = {"keep": "all layers keep their activations", "recompute": "all layers are recomputed"}
    policy = str(plan.policy)
    words = kept.get(policy) or (
        "all layers are recomputed, their inputs wait on the host"
        if plan.policy.offload
        else f"the last {plan.policy.kept_layers} layers keep their activations"
    )
    rows = f"{plan.max_rows} row{'s' * (plan.max_rows != 1)}"
    return f"Micro-batches of up to {plan.max_tokens:,} tokens and {rows}; {words}."
