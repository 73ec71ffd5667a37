import json
from pathlib import Path

import pytest

from qwen_pipeline.errors import CheckpointError, ExportError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release.origin import require_same_base


def adapter_of(base: str, folder: Path) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    return folder


@pytest.mark.parametrize("base", ["/elsewhere/base", "someone/base"])
def test_a_base_that_moved_or_was_fetched_from_a_hub_before_is_the_same(
    base: str, base_folder: Path, tmp_path: Path
) -> None:
    assert base_folder.name == "base"
    require_same_base(adapter_of(base, tmp_path), ModelSource(str(base_folder)))


def test_another_base_is_refused_with_its_name(base_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"trained on Qwen/Qwen3-8B, .* set model_name=Qwen/Qwen3-8B"):
        require_same_base(adapter_of("Qwen/Qwen3-8B", tmp_path), ModelSource(str(base_folder)))


def test_a_folder_without_an_adapter_names_the_pipeline_to_run(base_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="kedro run --pipeline train"):
        require_same_base(tmp_path, ModelSource(str(base_folder)))
