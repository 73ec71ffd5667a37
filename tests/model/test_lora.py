import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.tiny_model import load_plain_model, write_tiny_model
from qwen_pipeline.errors import CheckpointError, ParameterError
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import ALL_LINEAR, attach_lora, load_adapter, require_base, save_adapter
from qwen_pipeline.model.source import ModelSource

IDS = torch.arange(12)[None]


@pytest.fixture
def source(tiny_model: Path) -> ModelSource:
    return ModelSource(str(tiny_model))


def test_adapters_are_float32_and_all_else_is_frozen(source: ModelSource) -> None:
    model = attach_lora(load_quantized_model(source), r=4, alpha=8)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) == 2 * 7 * 2
    assert all("lora_" in name and p.dtype == torch.float32 for name, p in trainable.items())


def test_the_seed_alone_decides_the_start_and_the_global_generator_stays(source: ModelSource) -> None:
    def start(seed: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        model = attach_lora(load_plain_model(source), r=4, alpha=8, seed=seed)
        assert torch.equal(torch.rand(3), torch.manual_seed(noise) and torch.rand(3))
        return torch.cat([p.flatten() for p in model.parameters() if p.requires_grad])

    assert torch.equal(start(1, noise=5), start(1, noise=6))
    assert not torch.equal(start(1, noise=5), start(2, noise=5))


def test_gradients_reach_the_adapters_through_four_bits(source: ModelSource) -> None:
    model = attach_lora(load_quantized_model(source), r=4, alpha=8)
    model(input_ids=IDS, labels=IDS).loss.backward()
    reached = [p.grad.abs().sum() > 0 for name, p in model.named_parameters() if "lora_B" in name]
    assert len(reached) == 14
    assert all(reached)


def test_a_misspelt_target_is_named_with_the_nearest(source: ModelSource) -> None:
    with pytest.raises(ParameterError, match=r"target_modules=q_prj.*Did you mean q_proj"):
        attach_lora(load_plain_model(source), r=4, alpha=8, target_modules=["q_prj"])


@pytest.mark.parametrize("name", ["mlp", "q_norm", "lm_head"])
def test_a_target_that_is_no_linear_layer_of_the_blocks_is_refused(source: ModelSource, name: str) -> None:
    with pytest.raises(ParameterError, match=f"target_modules={name}: the model has no such linear layer"):
        attach_lora(load_plain_model(source), r=4, alpha=8, target_modules=["q_proj", name])


@pytest.mark.parametrize("variant", [{}, {"use_dora": True}], ids=str)
def test_a_saved_adapter_answers_like_the_live_one_and_is_written_in_one_way(
    source: ModelSource, tmp_path: Path, variant: dict[str, bool]
) -> None:
    model = attach_lora(load_quantized_model(source, compute_dtype=torch.float32), r=4, alpha=8, **variant)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
        live = model(IDS).logits
    for folder in ("one", "two"):
        save_adapter(model, tmp_path / folder, base_name="Qwen/Qwen3-4B")
    config = json.loads((tmp_path / "one/adapter_config.json").read_text())
    assert config["target_modules"] == sorted(ALL_LINEAR)
    assert config["base_model_name_or_path"] == "Qwen/Qwen3-4B"
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    names = {name.rpartition("proj.")[2] for name in load_file(tmp_path / "one/adapter_model.safetensors")}
    assert names == {"lora_A.weight", "lora_B.weight", *(["lora_magnitude_vector"] if variant else [])}
    again = load_adapter(load_quantized_model(source, compute_dtype=torch.float32), tmp_path / "one")
    assert torch.equal(again(IDS).logits, live)
    assert not any(p.requires_grad for p in again.parameters())


def test_a_folder_without_an_adapter_or_with_one_of_another_model_is_explained(
    source: ModelSource, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="holds no adapter"):
        load_adapter(load_plain_model(source), tmp_path)
    save_adapter(attach_lora(load_plain_model(source), r=4, alpha=8), tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    config["r"] = 8
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(config))
    other = ModelSource(str(write_tiny_model(tmp_path / "other")))
    with pytest.raises(CheckpointError, match="does not fit the base model") as told:
        load_adapter(load_plain_model(other), tmp_path / "adapter")
    assert "\n" not in str(told.value)


def test_an_adapter_of_another_base_of_the_same_shape_is_refused_and_one_that_was_moved_is_not(
    source: ModelSource, tmp_path: Path
) -> None:
    save_adapter(
        attach_lora(load_plain_model(source), r=4, alpha=8), tmp_path / "adapter", source.reference()
    )
    other = ModelSource(str(write_tiny_model(tmp_path / "other")))
    moved = ModelSource(str(write_tiny_model(tmp_path / "moved" / Path(source.name).name)))
    require_base(tmp_path / "adapter", source)
    require_base(tmp_path / "adapter", moved)
    with pytest.raises(CheckpointError, match=r"was trained on .* and model_name=.*other is another base"):
        require_base(tmp_path / "adapter", other)
    save_adapter(attach_lora(load_plain_model(source), r=4, alpha=8), tmp_path / "hubs", "Qwen/Qwen3-4B")
    require_base(tmp_path / "hubs", other)  # a hub's model may lie in a folder of any name
    require_base(tmp_path / "hubs", ModelSource("somebody/Qwen3-4B"))
    with pytest.raises(CheckpointError, match="model_name=Qwen/Qwen3-4B"):
        require_base(tmp_path / "hubs", ModelSource("Qwen/Qwen3-8B"))
    save_adapter(
        attach_lora(load_plain_model(source), r=4, alpha=8), tmp_path / "gone", "/elsewhere/our-model"
    )
    require_base(
        tmp_path / "gone", ModelSource("Qwen/Qwen3-8B")
    )  # what lay in a folder that is gone nobody knows
