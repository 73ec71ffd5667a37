"""Later stages add to the run of the training they judge."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from qwen_pipeline.tracking.additions import carry_over, log_evaluation
from qwen_pipeline.tracking.mlflow_run import open_training_run
from qwen_pipeline.tracking.store import experiment_id, open_client


@pytest.fixture
def client(tracking_store: Path) -> MlflowClient:
    return open_client()


def test_evaluation_goes_into_the_training_run(client: MlflowClient) -> None:
    with open_training_run(parameters={}) as reporter:
        pass
    log_evaluation(reporter.run_id, {"test_loss": 0.5}, {"evaluation_report.json": {"verdict": "better"}})
    assert reporter.run_id is not None
    run = client.get_run(reporter.run_id)
    assert run.data.metrics["test_loss"] == 0.5
    path = client.download_artifacts(reporter.run_id, "evaluation_report.json")
    assert json.loads(Path(path).read_text(encoding="utf-8")) == {"verdict": "better"}


def test_the_rows_of_an_evaluation_are_a_table_of_the_run(client: MlflowClient) -> None:
    with open_training_run(parameters={}) as reporter:
        pass
    log_evaluation(
        reporter.run_id, {"loss": 1.0}, {}, tables={"predictions.json": [{"question": "问", "chrF": 0.5}]}
    )
    table = client.load_table(experiment_id(client), "predictions.json", run_ids=[reporter.run_id])
    assert table["question"].tolist() == ["问"]


def test_a_training_with_an_equal_adapter_gets_the_judgement_of_the_earlier_one(client: MlflowClient) -> None:
    runs = []
    for loss in (1.0, 2.0):
        with open_training_run(parameters={}) as reporter:
            reporter.log_metrics({"loss": loss}, 1)
        runs.append(str(reporter.run_id))
    log_evaluation(runs[0], {"test_tuned_loss": 0.5, "export_merged_mean_kl": 0.1}, {})
    log_evaluation(runs[1], {"export_merged_mean_kl": 0.2}, {})
    carry_over(*runs, ("test_", "export_"))
    found = client.get_run(runs[1]).data
    assert found.metrics == {"loss": 2.0, "test_tuned_loss": 0.5, "export_merged_mean_kl": 0.2}
    assert found.tags["judged_in_run"] == runs[0]


def test_a_store_that_has_no_such_run_stops_nothing(
    client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    carry_over("none", "neither", ("test_",))
    assert "did not take the earlier figures" in caplog.text
