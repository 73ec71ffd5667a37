"""One run a training, resumed without repeating a step, and harmless when the store is out of reach."""

import json
import logging
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from qwen_pipeline.tracking.mlflow_run import flatten, log_evaluation, open_training_run
from qwen_pipeline.tracking.store import default_tracking_uri, experiment_id, open_client


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_tracking_uri(tmp_path))
    return open_client()


def test_a_training_is_one_finished_run_with_its_figures(client: MlflowClient, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with open_training_run(parameters={"lora_r": 16, "generation_config": {"top_p": 0.9}}) as reporter:
        reporter.log_input("tokenized_train", "abc123", "data/05_model_input", "training")
        reporter.log_metrics({"loss": 2.0}, 1)
        reporter.log_metrics({"loss": 1.0}, 2)
        reporter.event("skipped_step", step=2)
        reporter.log_directory(adapter, "adapter")

    runs = client.search_runs([experiment_id(client)])
    assert len(runs) == 1
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lora_r": "16", "generation_config.top_p": "0.9"}
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")] == [
        (1, 2.0),
        (2, 1.0),
    ]
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc123"
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"adapter", "events.json"}


def test_a_resumed_training_goes_on_in_its_run_and_repeats_no_step(client: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), open_training_run(parameters={"max_memory_gb": 8}) as first:
        for step in (1, 2, 3):
            first.log_metrics({"loss": float(step)}, step)
        raise KeyboardInterrupt
    assert first.run_id is not None
    assert client.get_run(first.run_id).info.status == "KILLED"

    with open_training_run(parameters={"max_memory_gb": 6}, resume_run_id=first.run_id) as second:
        for step in (2, 3, 4):
            second.log_metrics({"loss": 10.0 + step}, step)

    assert second.run_id == first.run_id
    history = client.get_metric_history(first.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 14.0)]
    assert client.get_run(first.run_id).info.status == "FINISHED"


def test_steps_retrained_after_a_rollback_are_recorded_and_no_other_twice(client: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), open_training_run(parameters={}) as first:
        for step in range(1, 7):
            first.log_metrics({"loss": float(step)}, step)
        first.go_back(3)
        rolled_back_ms = int(time.time() * 1000)
        first.event("rollback", step=3, diverged_at=6)
        time.sleep(0.002)
        first.log_metrics({"loss": 0.4}, 4)
        raise KeyboardInterrupt
    assert first.run_id is not None
    path = client.download_artifacts(first.run_id, "events.json")
    assert json.loads(Path(path).read_text())["events"] == [{"kind": "rollback", "step": 3, "diverged_at": 6}]

    with open_training_run(parameters={}, resume_run_id=first.run_id, undone_ms=rolled_back_ms) as second:
        for step in (4, 5, 6, 7):
            second.log_metrics({"loss": step / 10}, step)
    history = client.get_metric_history(first.run_id, "loss")
    told = [(m.step, m.value) for m in sorted(history, key=lambda m: m.timestamp)]
    assert told[6:] == [(4, 0.4), (5, 0.5), (6, 0.6), (7, 0.7)]
    assert sorted(told[:6]) == [(step, float(step)) for step in range(1, 7)]


def test_a_run_that_the_store_has_lost_is_replaced_by_a_new_one(client: MlflowClient) -> None:
    with open_training_run(parameters={}, resume_run_id="0" * 32) as reporter:
        pass
    assert reporter.run_id not in (None, "0" * 32)


def test_a_failed_training_is_marked_as_failed(client: MlflowClient) -> None:
    with pytest.raises(ValueError, match="broken"), open_training_run(parameters={}) as reporter:
        raise ValueError("broken")
    assert reporter.run_id is not None
    assert client.get_run(reporter.run_id).info.status == "FAILED"


def test_evaluation_goes_into_the_training_run(client: MlflowClient) -> None:
    with open_training_run(parameters={}) as reporter:
        pass
    log_evaluation(reporter.run_id, {"test_loss": 0.5}, {"evaluation_report.json": {"verdict": "better"}})
    assert reporter.run_id is not None
    run = client.get_run(reporter.run_id)
    assert run.data.metrics["test_loss"] == 0.5
    path = client.download_artifacts(reporter.run_id, "evaluation_report.json")
    assert json.loads(Path(path).read_text(encoding="utf-8")) == {"verdict": "better"}


def test_a_server_out_of_reach_is_told_once_and_does_not_stop_the_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    start = time.monotonic()
    with caplog.at_level(logging.WARNING), open_training_run(parameters={"a": 1}) as reporter:
        reporter.log_metrics({"loss": 1.0}, 1)
        reporter.log_document("train_report.json", {"loss": 1.0})
    assert reporter.run_id is None
    assert time.monotonic() - start < 30
    told = [r for r in caplog.records if r.name == "qwen_pipeline.tracking.mlflow_run"]
    assert len(told) == 1
    assert "MLFLOW_TRACKING_URI" in told[0].getMessage()


def test_nested_parameters_become_dotted_names() -> None:
    assert dict(flatten({"a": 1, "b": {"c": {"d": 2}}})) == {"a": 1, "b.c.d": 2}


def test_an_adapter_is_listed_among_the_models_of_its_run(client: MlflowClient, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with open_training_run(parameters={}, tags={"fingerprint": "abc"}) as reporter:
        reporter.log_model(adapter, "adapter", kind="peft")
    model = client.search_logged_models([experiment_id(client)])[0]
    assert (model.name, model.model_type, model.source_run_id) == ("adapter", "peft", reporter.run_id)
    assert [file.path for file in client.list_logged_model_artifacts(model.model_id)] == [
        "adapter_config.json"
    ]
    assert client.get_run(reporter.run_id).data.tags["fingerprint"] == "abc"


def test_the_rows_of_an_evaluation_are_a_table_of_the_run(client: MlflowClient) -> None:
    with open_training_run(parameters={}) as reporter:
        pass
    log_evaluation(
        reporter.run_id, {"loss": 1.0}, tables={"predictions.json": [{"question": "问", "chrF": 0.5}]}
    )
    table = client.load_table(experiment_id(client), "predictions.json", run_ids=[reporter.run_id])
    assert table["question"].tolist() == ["问"]
