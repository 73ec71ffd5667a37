"""The commands beside `kedro run`, on a finished project."""

import json
from pathlib import Path

import pytest

from end_to_end.project import FinishedProject

pytestmark = pytest.mark.slow


def test_preview_shows_rows_with_their_template_and_counts_the_trained_tokens(
    finished_project: FinishedProject,
) -> None:
    shown = finished_project.kedro("preview", "--split", "test", "--rows", "2").stdout
    assert shown.count("of them trained") == 2
    assert shown.count("<|im_start|>assistant") == 2
    assert "Traceback" not in shown


def test_the_memory_of_the_real_model_is_planned_without_its_weights_or_a_card(
    finished_project: FinishedProject, shared_dir: Path
) -> None:
    model = f"model_name={shared_dir / 'qwen3-4b-thinking-2507'}"
    told = finished_project.kedro("memory-plan", "--env", "qwen3_4b", "--params", model, "--json").stdout
    plan = json.loads(told[told.index("{") :])
    assert plan["fits"]
    assert 2.4 < plan["parts_gib"]["weights"] < 2.5
    assert plan["process_gib"] <= plan["max_memory_gb"] == 8.0


def test_a_cap_too_small_for_the_model_is_one_sentence(
    finished_project: FinishedProject, shared_dir: Path
) -> None:
    model = f"model_name={shared_dir / 'qwen3-4b-thinking-2507'},max_memory_gb=2"
    done = finished_project.kedro("memory-plan", "--env", "qwen3_4b", "--params", model, check=False)
    assert done.returncode != 0
    assert "max_memory_gb" in done.stdout
    assert "Traceback" not in done.stdout
