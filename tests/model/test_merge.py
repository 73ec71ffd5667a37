import json
import math
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from model.tiny_model import load_plain_model, write_tiny_model
from qwen_pipeline.errors import ExportError
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import load_adapter
from qwen_pipeline.model.merge import AdapterWeights, MergedWeights, write_merged
from qwen_pipeline.model.source import ModelSource
from release.tiny_export import write_tiny_adapter

IDS = torch.tensor([[3, 40, 41, 42, 43, 7, 8]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("merge") / "base")


@pytest.mark.parametrize("foundation", ["16-bit", "4-bit"])
@pytest.mark.parametrize("variant", [{}, {"use_rslora": True, "r": 6}, {"use_dora": True}])
@torch.no_grad()
def test_a_float32_merge_answers_like_the_adapter_on_its_foundation(
    foundation: Literal["16-bit", "4-bit"], variant: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    adapter = write_tiny_adapter(base, tmp_path / "adapter", **variant)
    source = ModelSource(str(base))
    on = (
        load_plain_model(source, dtype=torch.float32)
        if foundation == "16-bit"
        else load_quantized_model(source, compute_dtype=torch.float32)
    )
    live = load_adapter(on, adapter)(input_ids=IDS).logits
    write_merged(
        MergedWeights(base, AdapterWeights(adapter), foundation), tmp_path / "m", torch.float32, 1 << 30
    )
    (tmp_path / "m/config.json").write_bytes((base / "config.json").read_bytes())
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)(input_ids=IDS).logits
    assert (live - merged).abs().max() < 1e-3
    plain = load_plain_model(source, dtype=torch.float32)(input_ids=IDS).logits
    assert (merged - plain).abs().max() > 0.1


def test_shards_stay_below_the_limit_and_hold_every_tensor_once(base: Path, tmp_path: Path) -> None:
    merged = MergedWeights(base, AdapterWeights(write_tiny_adapter(base, tmp_path / "adapter")), "16-bit")
    files = write_merged(merged, tmp_path / "m", torch.bfloat16, shard_bytes=60_000)
    assert len(files) > 2
    content = json.loads((tmp_path / "m/model.safetensors.index.json").read_text())
    index = content["weight_map"]
    assert set(index) == set(merged.shapes)
    assert content["metadata"]["total_size"] == 2 * merged.numbers
    for file in files:
        with safe_open(file, framework="pt") as opened:
            sizes = [opened.get_tensor(name).nbytes for name in opened.keys()]  # noqa: SIM118
            assert sum(sizes) <= 60_000 or len(sizes) == 1
            assert opened.metadata() == {"format": "pt"}  # older transformers open no other
            assert all(index[name] == file.name for name in opened.keys())  # noqa: SIM118
    filled: dict[str, int] = {}
    for name, shape in merged.shapes.items():
        size = 2 * math.prod(shape)
        if filled and index[name] not in filled:  # a file ends where the next tensor would not have fitted
            assert filled[list(filled)[-1]] + size > 60_000
        filled[index[name]] = filled.get(index[name], 0) + size


def test_an_adapter_of_another_shape_is_refused_with_both_shapes(base: Path, tmp_path: Path) -> None:
    folder = write_tiny_adapter(base, tmp_path / "adapter")
    tensors = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in tensors if name.endswith("q_proj.lora_B.weight"))
    tensors[name] = torch.zeros(7, tensors[name].shape[1])
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(ExportError, match=r"shape \(7, 64\).*\(64, 64\); set model_name"):
        MergedWeights(base, AdapterWeights(folder), "16-bit")


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ({"lora_bias": True}, "lora_bias"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 2}}, "rank_pattern"),
    ],
)
def test_a_variant_that_adding_does_not_reproduce_is_refused(
    base: Path, tmp_path: Path, variant: dict[str, Any], told: str
) -> None:
    folder = write_tiny_adapter(base, tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **variant}))
    with pytest.raises(ExportError, match=f"{told}.*export_formats=adapter"):
        AdapterWeights(folder)
