"""The train report: what was done, how fast, with how much memory, and what happened on the way."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from qwen_pipeline.memory.measure import MemoryReading
from qwen_pipeline.memory.plan import MemoryPlan
from qwen_pipeline.memory.plan_table import compare_with_measured, plan_report
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.json_values import as_json_values
from qwen_pipeline.training.order import StepOrder
from qwen_pipeline.training.planning import TrainingPlan
from qwen_pipeline.training.state import TrainingHistory


def build_report(
    history: TrainingHistory,
    parameters: TrainParameters,
    plan: TrainingPlan,
    compute_dtype: torch.dtype,
    order: StepOrder,
    memory: dict[str, Any],
) -> dict[str, Any]:
    """Put the report together.

    Args:
        history: Figures and events of the training.
        parameters: Its settings.
        plan: Its micro-batches and memory plan.
        compute_dtype: Dtype of its products.
        order: Its steps.
        memory: What `memory_report` gave.

    Returns:
        Plain data, as JSON has it: a figure that is not finite (the loss of a step that was left out) is ``None``.
    """
    report = {
        "steps": history.step,
        "planned_steps": order.steps,
        "examples_per_step": parameters.examples_per_step,
        "micro_batch_rows": plan.max_rows,
        "micro_batch_tokens": plan.max_tokens,
        "activations": str(plan.policy),
        "compute_dtype": str(compute_dtype).removeprefix("torch."),
        "tokens": history.tokens,
        "trained_tokens": history.trained_tokens,
        "losses": history.losses,
        "learning_rates": history.learning_rates,
        "gradient_norms": history.gradient_norms,
        "validation": history.validation,
        "best_loss": history.best_loss,
        "best_step": history.best_step,
        "events": history.events,
        "tokens_per_second": history.tokens_per_second,
        "seconds": history.seconds,
        "memory": memory,
        "mlflow_run_id": history.mlflow_run_id,
    }
    plain: dict[str, Any] = as_json_values(report)
    return plain


def process_report(reading: MemoryReading, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What one of several processes alone knows: the memory of its card, and how often it ran out.

    Args:
        reading: Memory at the training's end, peaks included.
        events: What has happened in it.
    """
    recoveries = [event for event in events if event["kind"] == "out_of_memory"]
    return {"measured": _measured(reading), "out_of_memory": recoveries}


def memory_report(
    plan: MemoryPlan | None,
    reading: MemoryReading,
    over_time: list[dict[str, float]],
    others: list[dict[str, Any]],
) -> dict[str, Any]:
    """Memory as measured, as planned, and one beside the other.

    Args:
        plan: ``None`` where none was made.
        reading: Memory at the training's end, peaks included.
        over_time: Memory over its steps.
        others: What `process_report` gave in each process but the first.
    """
    planned = comparison = None
    if plan:
        planned = plan_report(plan)
        comparison = compare_with_measured(
            plan,
            reading.gpu_peak_allocated_gib,
            reading.gpu_peak_reserved_gib,
            reading.host_peak_gib if reading.gpu_allocated_gib is None else reading.gpu_process_gib,
        )
    return {
        "measured": _measured(reading),
        "planned": planned,
        "comparison": comparison,
        "over_time": over_time,
        "other_processes": others,
    }


def _measured(reading: MemoryReading) -> dict[str, float]:
    return {name: round(value, 4) for name, value in reading.as_metrics("").items()}
