"""A data set that held nothing out is evaluated to the end: no figure is made up, and the page says why."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from datasets import Dataset
from model.tiny_model import write_tiny_model
from qwen_pipeline.evaluation.report import PREDICTION_SCHEMA
from qwen_pipeline.memory import place
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.evaluate import EvaluateParameters
from qwen_pipeline.pipelines.evaluate.nodes import evaluate_base, evaluate_tuned, write_page
from qwen_pipeline.text.schema import CLEAN_SCHEMA
from release.tiny_export import write_tiny_adapter


def test_without_held_out_rows_only_general_questions_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caps: list[float] = []
    monkeypatch.setattr(place, "keep_to_cap", lambda cap, device: caps.append(cap))
    folder = write_tiny_model(tmp_path / "model")
    base, adapter = ModelSource(str(folder)), write_tiny_adapter(folder, tmp_path / "adapter")
    empty = Dataset.from_dict({"input_ids": [], "labels": [], "example_id": []})
    rows: tuple[Any, ...] = (
        pads.dataset(pa.Table.from_pylist([], schema=CLEAN_SCHEMA)),
        empty,
        empty,
        base,
    )
    parameters = EvaluateParameters(
        max_memory_gb=6, general_questions=2, generation_config={"max_new_tokens": 4}
    )
    train_report = {"mlflow_run_id": None}
    measured = evaluate_base(*rows, parameters)
    assert measured["scores"] == {}
    report, predictions = evaluate_tuned(*rows, adapter, measured, train_report, parameters)
    assert report["base"] == report["tuned"] == report["differences"] == {}
    assert report["general"]["tuned"]["loss"] > 0
    assert report["verdict"].startswith("Not measured. There are no held-out rows: no example fell into test")
    assert predictions.schema == PREDICTION_SCHEMA
    assert caps == [6, 6]  # of the base and the tuned model
    page = write_page(report, pads.dataset(predictions), train_report)
    assert "Evaluation without held-out rows" in page
    assert "没有留出的数据" in page
    assert ">Figures<" not in page
