"""What the project does at Kedro's events."""

import pytest

from qwen_pipeline.hooks import DATA_PAGES, ProjectHooks
from qwen_pipeline.tracking import mlflow_run


class Catalog:
    def exists(self, name):
        return name == "data_page"

    def load(self, name):
        return f"<html>{name}</html>"


@pytest.fixture
def logged(monkeypatch):
    calls = []
    monkeypatch.setattr(mlflow_run, "log_evaluation", lambda *arguments: calls.append(arguments))
    return calls


def test_the_pages_that_exist_go_to_the_run_of_the_training(logged):
    ProjectHooks().after_node_run(catalog=Catalog(), outputs={"train_report": {"mlflow_run_id": "r1"}})
    assert logged == [("r1", {}, {"data_page.html": "<html>data_page</html>"})]
    assert set(DATA_PAGES) == {"data_page", "token_page"}


def test_other_nodes_log_nothing(logged):
    ProjectHooks().after_node_run(catalog=Catalog(), outputs={"data_report": {}})
    assert logged == []
