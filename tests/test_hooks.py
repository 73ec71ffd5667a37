"""What the project does at Kedro's events."""

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest

from qwen_pipeline.hooks import DATA_PAGES, ProjectHooks
from qwen_pipeline.tracking import additions


class Catalog:
    def exists(self, name):
        return name == "data_page"

    def load(self, name):
        return f"<html>{name}</html>"


@pytest.fixture
def logged(monkeypatch):
    calls = []
    monkeypatch.setattr(additions, "log_evaluation", lambda *arguments: calls.append(arguments))
    return calls


def test_the_pages_that_exist_go_to_the_run_of_the_training(logged):
    ProjectHooks().after_node_run(catalog=Catalog(), outputs={"train_report": {"mlflow_run_id": "r1"}})
    assert logged == [("r1", {}, {"data_page.html": "<html>data_page</html>"})]
    assert set(DATA_PAGES) == {"data_page", "token_page"}


class Finished:
    """A catalog and a pipeline in one, after a run."""

    def __init__(self, folder, names):
        self.folder, self.names = folder, names

    def datasets(self):
        return self.names

    def load(self, name):
        return {"verdict": "Better: half the loss."}

    def __getitem__(self, name):
        return SimpleNamespace(newest_path=lambda: self.folder / "data" / name)


def test_a_run_ends_with_the_verdict_and_where_to_look(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    after = Finished(tmp_path, {"evaluation_report", "evaluation_page", "exported_model"})
    ProjectHooks().after_pipeline_run(pipeline=after, catalog=after)
    assert capsys.readouterr().out.splitlines() == [
        "Better: half the loss.", "page   data/evaluation_page", "model  data/exported_model",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "told"), [(True, "page   ../data/evaluation_page"), (False, "page   {}/data/evaluation_page")]
)
def test_where_to_look_can_be_copied_in_a_subfolder_and_when_the_page_lies_elsewhere(
    tmp_path, capsys, monkeypatch, logged, inside, told
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere.db")
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(project / "notebooks")
    train = {"log_level": "INFO", "enable_memory_profiling": False}
    hooks, after = ProjectHooks(), Finished(project if inside else elsewhere, {"evaluation_page"})
    hooks.after_context_created(
        SimpleNamespace(project_path=project, config_loader={"parameters": {"train": train}})
    )
    hooks.after_pipeline_run(pipeline=after, catalog=after)
    assert capsys.readouterr().out.strip() == told.format(elsewhere)


def test_a_run_without_an_evaluation_says_nothing_of_one(tmp_path, capsys):
    after = Finished(tmp_path, {"ingested_examples"})
    ProjectHooks().after_pipeline_run(pipeline=after, catalog=after)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("wanted", "trained", "told"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_profile_that_was_asked_for_and_not_made_is_told_with_the_way_to_it(
    tmp_path, capsys, monkeypatch, logged, wanted, trained, told
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere.db")
    train = {"log_level": "INFO", "enable_memory_profiling": wanted}
    context = SimpleNamespace(project_path=tmp_path, config_loader={"parameters": {"train": train}})
    hooks, after = ProjectHooks(), Finished(tmp_path, {"train_report"})
    hooks.after_context_created(context)
    if trained:
        hooks.after_node_run(catalog=Catalog(), outputs={"train_report": {"mlflow_run_id": "r1"}})
    hooks.after_pipeline_run(pipeline=after, catalog=after)
    assert ("--force train" in capsys.readouterr().out) is told


@pytest.mark.parametrize(("judged_anew", "expected"), [(False, [("old", "new")]), (True, [])])
def test_a_training_whose_adapter_came_out_equal_gets_the_earlier_figures(
    tmp_path, monkeypatch, logged, judged_anew, expected
):
    carried = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        additions, "carry_over", lambda earlier, new, prefixes: carried.append((earlier, new))
    )
    hooks, after = ProjectHooks(), Finished(tmp_path, {"train_report", "evaluation_report"})
    reports = {"train_report": {"mlflow_run_id": "old"}, "evaluation_report": {"verdict": "Better."}}
    monkeypatch.setattr(after, "load", reports.__getitem__, raising=False)
    hooks.before_pipeline_run({"run_id": "now"}, after, after)
    hooks.after_node_run(catalog=Catalog(), outputs={"train_report": {"mlflow_run_id": "new"}})
    if judged_anew:
        hooks.after_node_run(catalog=Catalog(), outputs={"evaluation_report": {}})
    hooks.after_pipeline_run(pipeline=after, catalog=after)
    assert carried == expected


def test_other_nodes_log_nothing(logged):
    ProjectHooks().after_node_run(catalog=Catalog(), outputs={"data_report": {}})
    assert logged == []


LEVELS = """
from qwen_pipeline.hooks import apply_log_level
apply_log_level("INFO")
import logging, datasets, transformers
for level in ("", "DEBUG", "ERROR"):
    if level:
        apply_log_level(level)
    print(*(logging.getLogger(n).getEffectiveLevel() for n in ("qwen_pipeline.training", "transformers", "datasets")))
"""


def test_the_log_level_reaches_every_library():
    """Those imported later, through their variables, and those already there."""
    done = subprocess.run([sys.executable, "-c", LEVELS], capture_output=True, text=True, check=True)
    levels = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert levels == [
        (logging.INFO, logging.WARNING, logging.WARNING),
        (logging.DEBUG, logging.DEBUG, logging.DEBUG),
        (logging.ERROR, logging.ERROR, logging.ERROR),
    ]


TRIES = """
import logging
from qwen_pipeline.hooks import apply_log_level
apply_log_level("INFO")
print(logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING))
"""


def test_each_try_of_a_server_that_is_gone_is_not_told():
    """MLflow's client makes dozens; the trouble is told in one line of our own."""
    done = subprocess.run([sys.executable, "-c", TRIES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_dry_run_shows_no_verdict_of_an_earlier_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    after = Finished(tmp_path, {"evaluation_report", "evaluation_page", "exported_model"})
    command = click.Command("run", params=[click.Option(["--dry-run"], is_flag=True)])
    for arguments, shown in ((["--dry-run"], False), ([], True)):
        with command.make_context("run", list(arguments)):
            ProjectHooks().after_pipeline_run(pipeline=after, catalog=after)
        assert bool(capsys.readouterr().out) is shown


def test_mlflow_follows_the_project_that_is_open_unless_the_user_named_a_store(tmp_path, monkeypatch):
    def open_two(hooks):
        for name in ("one", "two"):
            train = {"log_level": "INFO", "enable_memory_profiling": False}
            hooks.after_context_created(
                SimpleNamespace(project_path=tmp_path / name, config_loader={"parameters": {"train": train}})
            )
        return os.environ["MLFLOW_TRACKING_URI"]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    assert open_two(ProjectHooks()) == "sqlite:///mine.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert open_two(ProjectHooks()) == f"sqlite:///{tmp_path}/two/mlflow.db"
