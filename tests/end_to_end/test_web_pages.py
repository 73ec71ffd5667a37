"""The web pages people look at, in a real browser: Kedro-Viz and the MLflow UI of a finished project."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from browser import Browser, find_browser
from end_to_end.project import FinishedProject
from end_to_end.web_server import serve

pytestmark = pytest.mark.slow
STAGES = ("ingest", "clean", "tokenize", "train", "evaluate", "export")


@pytest.fixture(scope="module")
def viz(finished_project: FinishedProject) -> Iterator[Browser]:
    find_browser()
    finished_project.kedro("run")  # the last run may have been one that a test let fail
    with serve(finished_project.path, "kedro", "viz", "run", "--no-browser") as address, Browser() as browser:
        browser.open(address)
        browser.wait_for_text("exported_model")
        yield browser


def row(name: str) -> str:
    return f'[data-test="node-list-tree-item--row--{name}"]'


def metadata(browser: Browser) -> str:
    return "(document.querySelector('.pipeline-metadata') || {innerText: ''}).innerText"


def test_the_lineage_is_six_stages_that_open_into_their_nodes(viz: Browser) -> None:
    listed = viz.evaluate(
        "[...document.querySelectorAll('.node-list-tree-item-row, [data-test^=\"node-list-tree-item--row--\"]')]"
        ".map((item) => item.dataset.test || '').filter(Boolean).map((name) => name.split('--').pop())"
    )
    assert set(STAGES) <= set(listed)
    drawn = viz.evaluate("[...document.querySelectorAll('.pipeline-node')].map((node) => node.textContent)")
    assert set(STAGES) <= set(drawn)
    assert "train_adapter" not in drawn  # it is inside its stage


@pytest.mark.parametrize(
    ("dataset", "told"),
    [("ingested_examples", "faq_en.jsonl"), ("clean_examples", "repairs"), ("data_page", "rows kept")],
)
def test_a_dataset_is_previewed(viz: Browser, dataset: str, told: str) -> None:
    viz.click(row(dataset))
    viz.wait_for(f"{metadata(viz)}.includes({json.dumps(told)})")


def test_the_last_run_is_shown_with_no_failure(viz: Browser) -> None:
    viz.click(".pipeline-menu-button--workflow")
    viz.wait_for_text("train_adapter")
    text = viz.text()
    assert "failed" not in text.lower()
    assert text.count("success") > len(STAGES)


@pytest.fixture(scope="module")
def mlflow_ui(finished_project: FinishedProject, debug_run: FinishedProject) -> Iterator[tuple[Browser, str]]:
    find_browser()
    with (
        serve(finished_project.path, "mlflow", "ui", "--workers", "1") as address,
        Browser() as browser,
    ):
        yield browser, address


def run_of(project: FinishedProject) -> str:
    report = project.newest("08_reporting", "train_report.json").read_text(encoding="utf-8")
    return str(json.loads(report)["mlflow_run_id"])


def test_mlflow_shows_a_training_with_parameters_metrics_and_pages(
    finished_project: FinishedProject, mlflow_ui: tuple[Browser, str]
) -> None:
    browser, address = mlflow_ui
    run = f"{address}/#/experiments/1/runs/{run_of(finished_project)}"
    browser.open(run)
    for text in ("learning_rate", "validation_loss", "test_tuned_chrf", "tokenized_train"):
        browser.wait_for_text(text)
    browser.open(f"{run}/artifacts")
    browser.wait_for_text("evaluation_page.html")


def test_mlflow_puts_two_trainings_side_by_side(
    finished_project: FinishedProject, debug_run: FinishedProject, mlflow_ui: tuple[Browser, str]
) -> None:
    browser, address = mlflow_ui
    runs = quote(json.dumps([run_of(finished_project), run_of(debug_run)]))
    browser.open(f"{address}/#/compare-runs?runs={runs}&experiments={quote(json.dumps(['1']))}")
    for text in ("Comparing 2 Runs", "num_epochs", "gradient_norm"):
        browser.wait_for_text(text)
