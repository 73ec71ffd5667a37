"""Evaluate: base and tuned side by side on the test split."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from qwen_pipeline.errors import EvaluationError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.evaluate import EvaluateParameters

Table = Any  # a pyarrow.dataset.Dataset; pyarrow.dataset brings pandas
Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import


def evaluate_base(
    clean: Table, tokenized_test: Rows, base_model: ModelSource, parameters: EvaluateParameters
) -> dict[str, Any]:
    """Measure the base model once; a new adapter does not change it."""
    return _measure(_open(base_model, None), clean, tokenized_test, base_model, parameters)


def evaluate_tuned(
    clean: Table,
    tokenized_test: Rows,
    base_model: ModelSource,
    adapter: Path,
    base_evaluation: dict[str, Any],
    train_report: dict[str, Any],
    parameters: EvaluateParameters,
) -> tuple[dict[str, Any], pa.Table]:
    """Measure the tuned model, put it beside the base, add the figures to the training's run."""
    from qwen_pipeline.evaluation.metrics import side_by_side
    from qwen_pipeline.tracking.mlflow_run import log_evaluation

    tuned = _measure(_open(base_model, adapter), clean, tokenized_test, base_model, parameters)
    questions = _questions(clean, tokenized_test, parameters)
    report = {
        "verdict": side_by_side(base_evaluation["scores"], tuned["scores"]),
        "base": base_evaluation["scores"],
        "tuned": tuned["scores"],
        "rows": len(tokenized_test),
        "questions": len(questions),
    }
    predictions = [
        {
            "example_id": row["example_id"],
            "question": row["messages"][-2]["content"],
            "reference": row["messages"][-1]["content"],
            "base_answer": base_evaluation["answers"][row["example_id"]],
            "tuned_answer": tuned["answers"][row["example_id"]],
        }
        for row in questions
    ]
    metrics = {
        f"test_{side}_{name}": value for side in ("base", "tuned") for name, value in report[side].items()
    }
    log_evaluation(train_report["mlflow_run_id"], metrics, {"evaluation_report.json": report})
    return report, pa.Table.from_pylist(predictions)


def write_page(report: dict[str, Any], predictions: Table) -> str:
    """Render the page."""
    from qwen_pipeline.evaluation.page import render_page

    return render_page(report, predictions.to_table().to_pylist())


def _open(base_model: ModelSource, adapter: Path | None) -> Any:
    import torch

    from qwen_pipeline.model.load import load_quantized_model
    from qwen_pipeline.model.lora import load_adapter

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if base_model.name == "demo":
        torch.set_num_threads(1)
    model = load_quantized_model(base_model, compute_dtype=torch.bfloat16, device=device)
    return (load_adapter(model, adapter) if adapter else model).eval()


def _measure(
    model: Any, clean: Table, tokenized_test: Rows, base_model: ModelSource,
    parameters: EvaluateParameters,
) -> dict[str, Any]:  # fmt: skip
    from qwen_pipeline.evaluation.generation import answer_of, answer_questions
    from qwen_pipeline.evaluation.likelihood import likelihood
    from qwen_pipeline.evaluation.metrics import score_answers
    from qwen_pipeline.model.load import load_tokenizer

    if not len(tokenized_test):
        raise EvaluationError(
            "The test split is empty; put files under test/ in data_dir, or raise test_fraction."
        )
    rows = _questions(clean, tokenized_test, parameters)
    answers = answer_questions(
        model,
        load_tokenizer(base_model, padding_side="left"),
        [row["messages"][:-1] for row in rows],
        generation=parameters.generation_config.model_dump(),
        batch_size=parameters.evaluation_batch_size,
        seed=parameters.seed,
    )
    references = [answer_of(row["messages"][-1]["content"]) for row in rows]
    scores = {
        **likelihood(model, [dict(row) for row in tokenized_test]),
        **score_answers(answers, references),
    }
    return {"scores": scores, "answers": {row["example_id"]: a for row, a in zip(rows, answers, strict=True)}}


def _questions(clean: Table, tokenized_test: Rows, parameters: EvaluateParameters) -> list[dict[str, Any]]:
    """A fixed sample of the test split's conversations."""
    import pyarrow.dataset as ds

    wanted = set(tokenized_test["example_id"])
    rows = clean.to_table(filter=ds.field("split") == "test").to_pylist()
    rows = sorted((row for row in rows if row["example_id"] in wanted), key=lambda row: row["example_id"])
    random.Random(parameters.seed).shuffle(rows)
    return rows[: parameters.evaluation_questions]
