import sys
from pathlib import Path

import pytest
from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node

from model.tiny_model import write_tiny_model
from qwen_pipeline.datasets.base_model import BaseModelDataset
from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.incremental.runner import IncrementalRunner
from qwen_pipeline.model.source import ModelSource


def test_it_hands_on_where_the_model_is() -> None:
    assert BaseModelDataset("owner/name", "v1").load() == ModelSource("owner/name", "v1")


def test_every_byte_of_a_folder_counts_and_its_place_does_not(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    before = BaseModelDataset(str(folder)).fingerprint()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(before)
    moved = folder.rename(tmp_path / "moved")
    assert BaseModelDataset(str(moved)).fingerprint() == before
    weights = moved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    after = BaseModelDataset(str(moved)).fingerprint()
    assert {name for name in before if before[name] != after[name]} == {"model.safetensors"}


def test_the_demo_is_known_by_its_recipe() -> None:
    assert BaseModelDataset("demo").fingerprint() == ModelSource("demo").fingerprint()


def test_a_folder_exists_only_if_it_does(tmp_path: Path) -> None:
    assert BaseModelDataset(str(tmp_path)).exists()
    assert not BaseModelDataset(str(tmp_path / "none")).exists()


@pytest.mark.parametrize("name", ["./nowhere", "no such name", "/nowhere/model"])
def test_a_model_that_is_not_there_is_noticed_before_any_stage_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a run whose first node reads something else; the sentence is the one that the model's user would get."""
    monkeypatch.chdir(tmp_path)
    begun: list[str] = []
    catalog = DataCatalog({"base_model": BaseModelDataset(name), "text": MemoryDataset("a")})
    stages = Pipeline(
        [
            node(lambda text: begun.append(text), "text", None, name="ingest"),
            node(lambda model: begun.append(model.name), "base_model", None, name="tokenize"),
        ]
    )
    with pytest.raises(ModelSourceError) as told:
        IncrementalRunner().run(stages, catalog, _NullPluginManager())
    assert begun == []
    with pytest.raises(ModelSourceError) as asked:
        BaseModelDataset(name).fingerprint()
    assert str(told.value) == str(asked.value)


def test_a_run_that_reads_no_model_does_not_ask_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[str] = []
    catalog = DataCatalog({"base_model": BaseModelDataset("./nowhere"), "text": MemoryDataset("a")})
    IncrementalRunner().run(
        Pipeline([node(lambda text: begun.append(text), "text", None, name="ingest")]),
        catalog,
        _NullPluginManager(),
    )
    assert begun == ["a"]


def test_the_demo_is_not_built_and_a_whole_folder_is_accepted_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen_pipeline.model.demo.demo_directory", lambda: pytest.fail("built"))
    BaseModelDataset("demo").require()
    BaseModelDataset(str(write_tiny_model(tmp_path / "model"))).require()


def test_nothing_can_be_saved_into_it() -> None:
    with pytest.raises(DatasetError, match="is an input"):
        BaseModelDataset("demo").save("model")  # type: ignore[arg-type]


def test_catalog_and_fingerprint_do_not_import_torch(tmp_path: Path) -> None:
    import subprocess

    write_tiny_model(tmp_path / "model")
    code = (
        "import sys; from qwen_pipeline.datasets.base_model import BaseModelDataset; "
        f"BaseModelDataset({str(tmp_path / 'model')!r}).fingerprint(); "
        "BaseModelDataset('demo').fingerprint(); "
        "sys.exit('torch' in sys.modules)"
    )
    source = Path(__file__).resolve().parents[2] / "src"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(source)}, check=True)
