"""Two trainings side by side: what differs, by whatever name people give them."""

import os
from pathlib import Path

import pytest

from qwen_pipeline.errors import TrackingError
from qwen_pipeline.tracking.compare import compare_runs
from qwen_pipeline.tracking.latest import latest_run_id
from qwen_pipeline.tracking.mlflow_run import open_training_run


@pytest.fixture
def runs(tracking_store: Path) -> list[str]:
    ids = []
    for rate, digest, loss in ((1e-4, "aaa", 2.0), (2e-4, "bbb", 1.0)):
        with open_training_run(
            parameters={"learning_rate": rate, "lora_r": 16}, name=f"rate {rate}"
        ) as reporter:
            reporter.log_input("tokenized_train", digest, "data")
            reporter.log_metrics({"loss": loss}, 1)
        assert reporter.run_id is not None
        ids.append(reporter.run_id)
    return ids


@pytest.mark.parametrize("names", [("latest~1", "latest"), ("rate 0.0001", "rate 0.0002")])
def test_only_what_differs_is_listed_and_every_result(runs: list[str], names: tuple[str, str]) -> None:
    comparison = compare_runs(*names)
    assert [run["id"] for run in comparison["runs"]] == runs
    assert comparison["parameters"] == {"learning_rate": ["0.0001", "0.0002"]}
    assert comparison["data"] == {"tokenized_train": ["aaa", "bbb"]}
    assert comparison["results"] == {"loss": [2.0, 1.0]}


def test_the_beginning_of_an_id_is_enough(runs: list[str]) -> None:
    assert compare_runs(runs[0][:8], runs[1])["runs"][0]["id"] == runs[0]


@pytest.mark.parametrize("name", ["nowhere", "latest~7", "latest~x"])
def test_an_unknown_run_is_one_sentence(runs: list[str], name: str) -> None:
    with pytest.raises(TrackingError, match="tracked"):
        compare_runs(name, "latest")


def test_a_run_too_far_back_names_how_many_there_are(runs: list[str]) -> None:
    with pytest.raises(TrackingError, match="latest~2 does not exist; trainings tracked: 2"):
        compare_runs("latest~2", "latest")


def test_a_project_without_trainings_says_how_to_make_one(tracking_store: Path) -> None:
    with pytest.raises(TrackingError, match="kedro run --pipeline train"):
        compare_runs("latest", "latest~1")


def test_the_experiment_that_the_user_names_is_the_one_compared(
    tracking_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "two cards")
    with open_training_run(parameters={"lora_r": 16}) as reporter:
        pass
    assert compare_runs("latest", "latest")["runs"][0]["id"] == reporter.run_id
    assert latest_run_id() == reporter.run_id


def test_a_look_for_the_latest_training_leaves_no_store_and_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert latest_run_id() is None
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert not list(tmp_path.iterdir())
