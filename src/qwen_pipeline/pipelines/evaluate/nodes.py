"""Evaluate: base and tuned side by side on held-out rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.evaluate import EvaluateParameters

Table = Any  # a pyarrow.dataset.Dataset; pyarrow.dataset brings pandas
Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import


def evaluate_base(
    clean: Table,
    tokenized_test: Rows,
    tokenized_validation: Rows,
    base_model: ModelSource,
    parameters: EvaluateParameters,
) -> dict[str, Any]:
    """Measure the base model once; a new adapter does not change it."""
    held_out = _held_out(clean, tokenized_test, tokenized_validation, parameters)
    return _measure(base_model, None, held_out, parameters)


def evaluate_tuned(
    clean: Table,
    tokenized_test: Rows,
    tokenized_validation: Rows,
    base_model: ModelSource,
    adapter: Path,
    base_evaluation: dict[str, Any],
    train_report: dict[str, Any],
    parameters: EvaluateParameters,
) -> tuple[dict[str, Any], pa.Table]:
    """Measure the tuned model, put it beside the base, add the figures to the training's run."""
    from qwen_pipeline.evaluation.report import PREDICTION_SCHEMA, build_report, prediction_rows
    from qwen_pipeline.tracking.additions import log_evaluation

    held_out = _held_out(clean, tokenized_test, tokenized_validation, parameters)
    tuned = _measure(base_model, adapter, held_out, parameters)
    report = build_report(base_evaluation, tuned, parameters.seed)
    predictions = prediction_rows(base_evaluation, tuned, held_out)
    metrics = {
        f"{held_out.split}_{side}_{name}": value
        for side in ("base", "tuned")
        for name, value in report[side].items()
    }
    log_evaluation(
        train_report["mlflow_run_id"],
        metrics,
        {"evaluation_report.json": report},
        tables={"predictions.json": predictions} if predictions else {},
    )
    return report, pa.Table.from_pylist(predictions, schema=PREDICTION_SCHEMA)


def write_page(report: dict[str, Any], predictions: Table, train_report: dict[str, Any]) -> str:
    """Render the page and add it to the training's run."""
    from qwen_pipeline.evaluation.page import render_page
    from qwen_pipeline.tracking.additions import log_evaluation

    page = render_page(report, predictions.to_table().to_pylist(), train_report)
    log_evaluation(train_report["mlflow_run_id"], {}, {"evaluation_page.html": page})
    return page


def _measure(
    base_model: ModelSource, adapter: Path | None, held_out: Any, parameters: EvaluateParameters
) -> dict[str, Any]:
    from qwen_pipeline.evaluation.measure import measure_model
    from qwen_pipeline.memory.place import keep_to_cap
    from qwen_pipeline.model.attention import register_packed_attention
    from qwen_pipeline.model.device import compute_device, fast_dtype, threads_for
    from qwen_pipeline.model.load import load_quantized_model
    from qwen_pipeline.model.lora import load_adapter
    from qwen_pipeline.model.tokenizer import load_tokenizer

    device = compute_device()
    keep_to_cap(parameters.max_memory_gb, device)
    model: Any = load_quantized_model(
        base_model,
        compute_dtype=fast_dtype(device.type),
        device=device,
        attn_implementation=register_packed_attention(),
    )
    if adapter is not None:
        model = load_adapter(model, adapter)
    with threads_for(model.config.hidden_size):
        return measure_model(model, load_tokenizer(base_model, padding_side="left"), held_out, parameters)


def _held_out(clean: Table, test: Rows, validation: Rows, parameters: EvaluateParameters) -> Any:
    from qwen_pipeline.evaluation.held_out import choose_held_out

    return choose_held_out(
        clean, test, validation, questions=parameters.evaluation_questions, seed=parameters.seed
    )
