"""The training state goes when the train stage's outputs are published, and not a moment earlier."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from mlflow import MlflowClient
from safetensors.torch import load_file, save_file

from qwen_pipeline.incremental.runner import IncrementalRunner
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.pipelines.train.nodes import train_adapter
from qwen_pipeline.tracking.store import experiment_id, open_client
from qwen_pipeline.training import session
from training.tiny_training import SETTINGS, make_rows

PLACE = "qwen_pipeline.datasets.versioned.AtomicFileDataset"


class Rows(list[dict[str, Any]]):
    """Rows with a digest, as a table of the datasets library has one."""

    _fingerprint = "rows"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_store: Path) -> MlflowClient:
    """The store of a project at ``tmp_path``, which becomes the working directory."""
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    monkeypatch.chdir(tmp_path)
    return open_client()


def train(tiny: Path, root: Path) -> None:
    """`kedro run` of the train stage alone, with its digest instead of the adapter's folder kept."""
    parameters = TrainParameters(
        **{**SETTINGS, "save_strategy": "epoch", "num_epochs": 1, "checkpoint_dir": str(root / "checkpoints")}
    )
    names = ("adapter", "train_report")
    catalog = DataCatalog.from_config(
        {
            name: {
                "type": PLACE,
                "dataset": {"type": "json.JSONDataset"},
                "versioned": True,
                "filepath": str(root / "data" / f"{name}.json"),
            }
            for name in names
        }
    )
    catalog["params:train"] = MemoryDataset(parameters)
    rows, source = Rows(make_rows(8)), ModelSource(str(tiny))

    def trained(settings: TrainParameters) -> tuple[list[str], dict[str, Any]]:
        folder, report = train_adapter(rows, Rows(), source, settings)
        return sorted(path.name for path in folder.iterdir()), report

    stage = Pipeline([node(trained, ["params:train"], list(names), name="train_adapter")])
    IncrementalRunner().run(stage, catalog, _NullPluginManager())


def states(root: Path) -> list[Path]:
    return list((root / "checkpoints").glob("*/*/state.pt"))


def losses(client: MlflowClient) -> list[int]:
    """The steps of which a loss is recorded, in the one run there is."""
    (run,) = client.search_runs([experiment_id(client)])
    return [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]


@pytest.mark.parametrize("place", ["save_adapter", "_log", "the dataset"])
def test_a_training_that_fails_before_it_is_published_goes_on_without_a_step(
    tiny: Path, tmp_path: Path, client: MlflowClient, place: str
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        if place == "the dataset":
            patch.setattr("kedro_datasets.json.JSONDataset.save", fails)
        else:
            patch.setattr(session, place, fails)
        with pytest.raises(Exception, match="No space left"):
            train(tiny, tmp_path)
    assert len(states(tmp_path)) == 1
    assert losses(client) == [1, 2]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qwen_pipeline.training.step.Stepper.accumulate", fails)
        train(tiny, tmp_path)
    assert states(tmp_path) == []
    assert losses(client) == [1, 2]
    assert len(client.search_logged_models([experiment_id(client)])) == 1


def test_outside_of_an_incremental_run_the_state_goes_with_the_node(
    tiny: Path, tmp_path: Path, client: MlflowClient
) -> None:
    parameters = TrainParameters(
        **{
            **SETTINGS,
            "save_strategy": "epoch",
            "num_epochs": 1,
            "checkpoint_dir": str(tmp_path / "checkpoints"),
        }
    )
    adapter, report = train_adapter(Rows(make_rows(8)), Rows(), ModelSource(str(tiny)), parameters)
    assert (adapter / "adapter_model.safetensors").is_file()
    assert report["steps"] == 2
    assert list((tmp_path / "checkpoints").glob("*/checkpoint-2"))
    assert states(tmp_path) == []


def test_outside_of_an_incremental_run_another_base_of_the_same_name_has_checkpoints_of_its_own(
    tiny: Path, tmp_path: Path, client: MlflowClient
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    checkpoints = tmp_path / "checkpoints"
    parameters = TrainParameters(
        **{**SETTINGS, "num_epochs": 1, "save_strategy": "epoch", "checkpoint_dir": str(checkpoints)}
    )
    for _ in range(2):
        train_adapter(Rows(make_rows(8)), Rows(), ModelSource(str(base)), parameters)
    assert len(list(checkpoints.iterdir())) == 1
    weights = load_file(base / "model.safetensors")
    save_file(
        {name: weight * 1.5 for name, weight in weights.items()}, base / "model.safetensors", {"format": "pt"}
    )
    train_adapter(Rows(make_rows(8)), Rows(), ModelSource(str(base)), parameters)
    assert len(list(checkpoints.iterdir())) == 2
