"""The fused layer is peft's layer: same output, same gradients, same files, and peft's own way where it is needed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from peft import LoraConfig, PeftModel
from peft.tuners.lora.bnb import Linear4bit
from peft.tuners.lora.dora import DoraLinearLayer
from torch import Tensor

from qwen_pipeline.model import fused_lora
from qwen_pipeline.model.dora import dora_scale
from qwen_pipeline.model.fused_lora import FusedLora4bit
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import attach_lora, save_adapter
from qwen_pipeline.model.source import ModelSource


def adapted_layer(tiny_model: Path, dtype: torch.dtype, **options: Any) -> FusedLora4bit:
    """One layer with an adapter that does something."""
    model = attach_lora(
        load_quantized_model(ModelSource(str(tiny_model)), compute_dtype=dtype), r=4, alpha=8, **options
    )
    layer = next(module for module in model.modules() if isinstance(module, FusedLora4bit))
    generator = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(layer.lora_B["default"].weight, generator=generator)
    for magnitude in layer.lora_magnitude_vector.values():
        torch.nn.init.uniform_(magnitude.weight, 0.5, 2.0, generator=generator)
    return layer


def results(layer: FusedLora4bit, forward: Any, dtype: torch.dtype) -> list[Tensor]:
    """Output, and the gradients of input and both adapter weights."""
    x = torch.randn(2, 5, layer.in_features, generator=torch.Generator().manual_seed(2)).to(dtype)
    x.requires_grad_()
    magnitudes = [magnitude.weight for magnitude in layer.lora_magnitude_vector.values()]
    weights = [x, layer.lora_A["default"].weight, layer.lora_B["default"].weight, *magnitudes]
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        out = forward(layer, x)
    return [out, *torch.autograd.grad(out.float().square().sum(), weights)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize(
    "variant", [{}, {"use_rslora": True}, {"use_dora": True}, {"use_dora": True, "dropout": 0.5}]
)
def test_output_and_gradients_are_pefts(
    tiny_model: Path, dtype: torch.dtype, tolerance: float, variant: dict[str, Any]
) -> None:
    layer = adapted_layer(tiny_model, dtype, **variant)
    fused, plain = results(layer, FusedLora4bit.forward, dtype), results(layer, Linear4bit.forward, dtype)
    assert len(fused) == (5 if "use_dora" in variant else 4)
    for one, other in zip(fused, plain, strict=True):
        assert one.shape == other.shape
        assert one.dtype == (dtype if one is fused[0] else other.dtype)  # peft's DoRA answers in float32
        assert float((one - other).norm()) <= tolerance * float(other.norm())


def test_magnitudes_begin_with_the_norms_of_the_base_and_change_nothing(tiny_model: Path) -> None:
    source = ModelSource(str(tiny_model))
    ids = torch.arange(12)[None]
    base = load_quantized_model(source, compute_dtype=torch.float32)(ids).logits
    adapted = attach_lora(
        load_quantized_model(source, compute_dtype=torch.float32), r=4, alpha=8, use_dora=True
    )
    torch.testing.assert_close(adapted(ids).logits, base)


def test_in_16_bits_magnitudes_begin_with_norms_in_float32(tiny_model: Path) -> None:
    model = attach_lora(load_quantized_model(ModelSource(str(tiny_model))), r=4, alpha=8, use_dora=True)
    layer = next(module for module in model.modules() if isinstance(module, FusedLora4bit))
    weight = layer.base_layer.weight
    norms = dequantize_4bit(weight.data, weight.quant_state).float().norm(dim=1)
    torch.testing.assert_close(
        layer.lora_magnitude_vector["default"].weight.detach(), norms, rtol=1e-5, atol=0
    )


def test_a_dora_adapter_answers_alike_in_plain_peft(tiny_model: Path, tmp_path: Path) -> None:
    source = ModelSource(str(tiny_model))
    model = attach_lora(
        load_quantized_model(source, compute_dtype=torch.float32), r=4, alpha=8, use_dora=True
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    save_adapter(model, tmp_path)
    plain = PeftModel.from_pretrained(
        load_quantized_model(source, compute_dtype=torch.float32), str(tmp_path)
    )
    assert not any(isinstance(module, FusedLora4bit) for module in plain.modules())
    ids = torch.arange(12)[None]
    plain.train()
    torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_dora_adapter_generates_without_the_whole_matrix_and_follows_its_weights(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = adapted_layer(tiny_model, torch.bfloat16, use_dora=True).requires_grad_(False)
    x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(2)).bfloat16()
    with torch.no_grad():
        plain = Linear4bit.forward(layer, x)
        monkeypatch.setattr(DoraLinearLayer, "forward", None)
        found = layer(x)
        assert (found.float() - plain.float()).norm() <= 2e-2 * plain.float().norm()
        norms = dora_scale(layer, "default")
        assert dora_scale(layer, "default") is norms
        layer.lora_B["default"].weight.mul_(3)
        assert not torch.equal(dora_scale(layer, "default"), norms)


@pytest.mark.parametrize("variant", [{}, {"use_dora": True}])
def test_the_ordinary_case_is_fused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, variant: dict[str, Any]
) -> None:
    layer = adapted_layer(tiny_model, torch.float32, **variant)
    monkeypatch.setattr(Linear4bit, "forward", None)
    assert layer(torch.randn(3, layer.in_features)).shape == (3, layer.out_features)


@pytest.mark.parametrize(
    "case", ["dropout", "disabled", "bfloat16 without autocast", "bias", "lora_bias", "several", "elsewhere"]
)
def test_all_else_goes_pefts_own_way(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    dtype = torch.bfloat16 if case.startswith("bfloat16") else torch.float32
    options = {"dropout": 0.5 if case == "dropout" else 0.0, "lora_bias": case == "lora_bias"}
    layer = adapted_layer(tiny_model, dtype, **options)
    if case == "disabled":
        layer.enable_adapters(False)
    elif case == "bias":  # as Qwen2 has on queries, keys and values
        layer.base_layer.bias = torch.nn.Parameter(torch.ones(layer.out_features))
    elif case == "lora_bias":
        torch.nn.init.ones_(layer.lora_B["default"].bias)
    elif case == "several":
        layer.update_layer("other", r=2, lora_alpha=4, config=LoraConfig())
        layer.set_adapter(["default", "other"])
    elif case == "elsewhere":  # the active adapter changes other layers alone
        layer._active_adapter = ["other"]
    monkeypatch.setattr(fused_lora, "project", None)
    x = torch.randn(3, layer.in_features).to(dtype)
    torch.manual_seed(0)
    found = layer(x)
    torch.manual_seed(0)
    assert torch.equal(found, Linear4bit.forward(layer, x))


def test_a_saved_adapter_says_nothing_of_it(tiny_model: Path, tmp_path: Path) -> None:
    model = attach_lora(load_quantized_model(ModelSource(str(tiny_model))), r=4, alpha=8)
    save_adapter(model, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert not any("custom" in name for name in config)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
