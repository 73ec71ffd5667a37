"""One run a training, resumed without repeating a step, and harmless when the store is out of reach."""

import contextlib
import json
import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from qwen_pipeline.errors import TrainingInterruptedError
from qwen_pipeline.tracking import delivery
from qwen_pipeline.tracking.mlflow_run import flatten, open_training_run
from qwen_pipeline.tracking.store import experiment_id, open_client


@pytest.fixture
def client(tracking_store: Path) -> MlflowClient:
    return open_client()


def test_a_training_is_one_finished_run_with_its_figures(client: MlflowClient, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with open_training_run(parameters={"lora_r": 16, "generation_config": {"top_p": 0.9}}) as reporter:
        reporter.log_input("tokenized_train", "abc123", "data/05_model_input")
        reporter.log_metrics({"loss": 2.0}, 1)
        reporter.log_metrics({"loss": 1.0}, 2)
        reporter.log_events([{"kind": "skipped_step", "step": 2}])
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
        time.sleep(0.002)
        first.log_metrics({"loss": 0.4}, 4)
        raise KeyboardInterrupt
    assert first.run_id is not None
    with open_training_run(parameters={}, resume_run_id=first.run_id, undone_ms=rolled_back_ms) as second:
        for step in (4, 5, 6, 7):
            second.log_metrics({"loss": step / 10}, step)
    history = client.get_metric_history(first.run_id, "loss")
    told = [(m.step, m.value) for m in sorted(history, key=lambda m: m.timestamp)]
    assert told[6:] == [(4, 0.4), (5, 0.5), (6, 0.6), (7, 0.7)]
    assert sorted(told[:6]) == [(step, float(step)) for step in range(1, 7)]


def test_the_events_of_a_failed_training_are_there_as_json_that_any_reader_takes(
    client: MlflowClient,
) -> None:
    with pytest.raises(ValueError, match="broken"), open_training_run(parameters={}) as reporter:
        reporter.log_events([{"kind": "spike", "loss": float("inf")}])
        raise ValueError("broken")
    path = Path(client.download_artifacts(str(reporter.run_id), "events.json"))
    events = json.loads(path.read_text(), parse_constant=pytest.fail)["events"]
    assert events == [{"kind": "spike", "loss": None}]


def test_a_run_that_the_store_has_lost_is_replaced_by_a_new_one(client: MlflowClient) -> None:
    with open_training_run(parameters={}, resume_run_id="0" * 32) as reporter:
        pass
    assert reporter.run_id not in (None, "0" * 32)


def test_a_failed_training_is_marked_as_failed(client: MlflowClient) -> None:
    with pytest.raises(ValueError, match="broken"), open_training_run(parameters={}) as reporter:
        raise ValueError("broken")
    assert reporter.run_id is not None
    assert client.get_run(reporter.run_id).info.status == "FAILED"


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
    told = [r for r in caplog.records if r.name.startswith("qwen_pipeline.tracking")]
    assert len(told) == 1
    assert "MLFLOW_TRACKING_URI" in told[0].getMessage()


class Blips:
    """Lets some calls of the client fail once, as a store does that is busy or restarts."""

    def __init__(self, patch: pytest.MonkeyPatch, *names: str, times: int = 1) -> None:
        self.left = dict.fromkeys(names, times)
        for name in names:
            patch.setattr(MlflowClient, name, self._failing(name, getattr(MlflowClient, name)))

    def _failing(self, name: str, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.left[name]:
                self.left[name] -= 1
                raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)
            return real(*arguments, **options)

        return call


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSE_FACTOR", 0)
    monkeypatch.setattr(delivery, "LAST_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize(
    "call", ["create_run", "log_batch", "log_inputs", "log_artifacts", "log_text", "set_terminated",
             "create_logged_model", "log_model_artifacts", "finalize_logged_model"],
)  # fmt: skip
def test_an_error_that_passes_costs_the_run_nothing(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: None, call: str
) -> None:
    Blips(monkeypatch, call)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text("{}")
    with open_training_run(parameters={"lora_r": 16}) as reporter:
        reporter.log_input("tokenized_train", "abc123", "data")
        for step in (1, 2, 3):
            reporter.log_metrics({"loss": float(step)}, step)
            reporter.flush()
        reporter.log_directory(tmp_path / "adapter", "adapter")
        reporter.log_model(tmp_path / "adapter", "adapter")
        reporter.log_document("train_report.json", {})
    (run,) = client.search_runs([experiment_id(client)])
    assert (run.info.run_id, run.info.status) == (reporter.run_id, "FINISHED")
    assert run.data.params == {"lora_r": "16"}
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc123"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3]
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"adapter", "train_report.json"}
    assert [str(model.status) for model in client.search_logged_models([experiment_id(client)])] == ["READY"]


def test_figures_wait_for_the_next_flush_and_the_outage_is_told_once(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, no_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "qwen_pipeline.tracking"),
        open_training_run(parameters={}) as reporter,
    ):
        Blips(monkeypatch, "log_batch", times=2)
        for step in (1, 2, 3):
            reporter.log_metrics({"loss": float(step)}, step)
            reporter.flush()
        assert reporter.run_id is not None
        assert [m.step for m in client.get_metric_history(reporter.run_id, "loss")] == [1, 2, 3]
    assert [(r.levelname, "database is locked" in r.getMessage()) for r in caplog.records] == [
        ("WARNING", True),
        ("INFO", False),
    ]


def test_a_store_that_keeps_failing_gets_the_newest_figures_it_can_and_the_run_is_closed(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, no_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("qwen_pipeline.tracking.mlflow_run.MAX_WAITING", 5)
    with pytest.raises(ValueError, match="broken"), open_training_run(parameters={}) as reporter:
        blips = Blips(monkeypatch, "log_batch", "log_text", times=1000)
        for step in range(1, 10):
            reporter.log_metrics({"loss": float(step)}, step)
            reporter.flush()
        blips.left["log_batch"] = 0
        reporter.log_document("train_report.json", {})
        raise ValueError("broken")
    assert reporter.run_id is not None
    assert client.get_run(reporter.run_id).info.status == "FAILED"
    assert [m.step for m in client.get_metric_history(reporter.run_id, "loss")] == [5, 6, 7, 8, 9]
    assert "could not log train_report.json, log 4 older figures" in caplog.messages[-1]


def test_a_run_opened_late_is_the_resumed_one_and_repeats_no_step(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, no_pauses: None
) -> None:
    with open_training_run(parameters={"max_memory_gb": 8}) as first:
        first.log_metrics({"loss": 1.0}, 1)
        first.log_metrics({"loss": 2.0}, 2)
    Blips(monkeypatch, "get_run", times=4)
    with open_training_run(parameters={"max_memory_gb": 6}, resume_run_id=first.run_id) as second:
        second.log_metrics({"loss": 12.0}, 2)
        second.log_metrics({"loss": 13.0}, 3)
        assert second.run_id is None
        for _ in range(3):
            second.flush()
        second.log_metrics({"loss": 13.5}, 3)
    assert second.run_id == first.run_id is not None
    history = client.get_metric_history(first.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 2.0), (3, 13.0)]
    assert client.get_run(first.run_id).data.params == {"max_memory_gb": "8"}


def test_a_training_that_is_asked_to_stop_is_recorded_as_killed(client: MlflowClient) -> None:
    with pytest.raises(TrainingInterruptedError), open_training_run(parameters={}) as reporter:
        raise TrainingInterruptedError("Stopped by SIGINT after step 3 of 9.")
    assert reporter.run_id is not None
    assert client.get_run(reporter.run_id).info.status == "KILLED"


def test_nested_parameters_become_dotted_names() -> None:
    assert dict(flatten({"a": 1, "b": {"c": {"d": 2}}})) == {"a": 1, "b.c.d": 2}


def test_an_adapter_is_listed_among_the_models_of_its_run(client: MlflowClient, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with open_training_run(parameters={}, tags={"fingerprint": "abc"}) as reporter:
        reporter.log_model(adapter, "adapter")
    model = client.search_logged_models([experiment_id(client)])[0]
    assert (model.name, model.model_type, model.source_run_id) == ("adapter", "peft", reporter.run_id)
    assert [file.path for file in client.list_logged_model_artifacts(model.model_id)] == [
        "adapter_config.json"
    ]
    assert client.get_run(reporter.run_id).data.tags["fingerprint"] == "abc"


def test_a_store_that_fails_is_told_in_one_line_without_a_traceback(
    client: MlflowClient, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    experiment_id(client)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("DROP TABLE runs")
        database.commit()
    capfd.readouterr()
    with open_training_run(parameters={"lora_r": 16}) as reporter:
        reporter.log_metrics({"loss": 2.0}, 1)
    assert "Traceback" not in capfd.readouterr().err
