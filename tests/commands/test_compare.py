"""`kedro compare` takes what all commands of this project take."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from qwen_pipeline.commands.compare import compare
from qwen_pipeline.tracking.mlflow_run import open_training_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_the_project(tracking_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_a_comparison_takes_an_environment_and_parameters() -> None:
    with open_training_run(parameters={"lora_r": 16}) as reporter:
        pass
    told = CliRunner().invoke(
        compare, ["latest", "latest", "--env", "qwen3_4b", "--params", "log_level=WARNING", "--json"]
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["runs"][0]["id"] == reporter.run_id


def test_names_are_whole_on_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with open_training_run(parameters={}) as reporter:
        reporter.log_metrics({"test_tuned_answer_characters": 36.123456789012345}, 1)
    told = CliRunner().invoke(compare, ["latest", "latest"])
    assert told.exit_code == 0, told.output
    assert "test_tuned_answer_characters" in told.output
    assert "36.123 " in told.output


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--params", "lora_rr=4"], "Did you mean lora_r?"), (["--env", "nowhere"], "--env takes one of")],
)
def test_a_mistake_in_them_is_told_as_by_every_other_command(flags: list[str], words: str) -> None:
    told = CliRunner().invoke(compare, ["latest", "latest", *flags])
    assert told.exit_code == 1
    assert words in told.output
