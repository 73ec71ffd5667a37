import sys
from pathlib import Path

import pytest
from kedro.io import DatasetError

from model.tiny_model import write_tiny_model
from qwen_pipeline.datasets.base_model import BaseModelDataset
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
