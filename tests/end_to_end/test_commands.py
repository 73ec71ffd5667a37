"""The commands that look at a finished project, as a user types them."""

import json
from pathlib import Path

import pytest

from end_to_end.project import FinishedProject, run_kedro

pytestmark = pytest.mark.slow


def test_preview_shows_the_rows_that_were_trained_on(finished_project: FinishedProject) -> None:
    rows = json.loads(finished_project.kedro("preview", "--rows", "2", "--json").stdout)
    assert len(rows) == 2
    assert rows[0]["runs"][0]["text"].startswith("<|im_start|>user\n")
    assert rows[0]["runs"][-1]["trained"]


def test_preview_says_when_other_parameters_would_give_other_rows(finished_project: FinishedProject) -> None:
    done = finished_project.kedro("preview", "--rows", "1", "--params", "max_sequence_length=64")
    assert "earlier run" in done.stdout


def test_chat_answers_one_question_with_base_and_tuned(finished_project: FinishedProject) -> None:
    done = finished_project.kedro("chat", "--ask", "What does LoRA do?", "--compare", "--json")
    answers = json.loads(done.stdout)["answers"]
    assert list(answers) == ["base", "tuned"]
    assert answers["base"] != answers["tuned"]


def test_the_memory_plan_needs_no_data_and_no_gpu_and_a_stage_that_has_not_run_is_named(
    fresh_project: Path,
) -> None:
    report = json.loads(run_kedro(fresh_project, "memory-plan", "--json").stdout)
    assert report["fits"]
    assert report["process_gib"] == pytest.approx(sum(report["parts_gib"].values()), rel=0.05)
    done = run_kedro(fresh_project, "preview", check=False)
    assert done.returncode != 0
    assert "kedro run --pipeline tokenize" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_memory_of_the_real_model_is_planned_without_its_weights_or_a_card(
    finished_project: FinishedProject, shared_dir: Path
) -> None:
    model = f"model_name={shared_dir / 'qwen3-4b-thinking-2507'}"
    told = finished_project.kedro("memory-plan", "--env", "qwen3_4b", "--params", model, "--json").stdout
    plan = json.loads(told[told.index("{") :])
    assert plan["fits"]
    assert 2.4 < plan["parts_gib"]["weights"] < 2.5
    assert plan["process_gib"] <= plan["max_memory_gb"] == 8.0
    small = finished_project.kedro(
        "memory-plan", "--env", "qwen3_4b", "--params", f"{model},max_memory_gb=2", check=False
    )
    assert small.returncode != 0
    assert "max_memory_gb" in small.stdout
    assert "Traceback" not in small.stdout
