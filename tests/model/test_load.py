import importlib
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from model.tiny_model import load_plain_model
from qwen_pipeline.errors import ModelSourceError, QuantizationError
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.quantization import install_line
from qwen_pipeline.model.source import ModelSource


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_linear_layer_but_the_head_is_nf4_with_double_quantisation(
    tiny_model: Path, dtype: torch.dtype
) -> None:
    model = load_quantized_model(ModelSource(str(tiny_model)), compute_dtype=dtype)
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 2 * 7
    for layer in layers:
        assert layer.weight.quant_state.quant_type == "nf4"
        assert layer.weight.quant_state.nested
        assert layer.compute_dtype == dtype
    assert model.lm_head.weight.dtype == dtype
    assert model.model.norm.weight.dtype == dtype
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not list what is mapped")
def test_on_a_cpu_no_file_of_the_model_stays_mapped(tiny_model: Path) -> None:
    model = load_quantized_model(ModelSource(str(tiny_model)))
    assert str(tiny_model) not in Path("/proc/self/maps").read_text()
    assert model.config.tie_word_embeddings
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_quantised_model_answers_nearly_like_the_plain_one(tiny_model: Path) -> None:
    source = ModelSource(str(tiny_model))
    ids = torch.arange(20)[None]
    with torch.no_grad():
        exact = load_plain_model(source, dtype=torch.float32)(ids).logits
        quantized = load_quantized_model(source, compute_dtype=torch.float32)(ids).logits
    assert 0 < (quantized - exact).norm() / exact.norm() < 0.3


@pytest.mark.parametrize("missing", ["accelerate", "bitsandbytes"])
def test_a_missing_library_is_found_before_loading_with_the_install_line(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = importlib.import_module

    def fail(name: str) -> ModuleType:
        if name == missing:
            raise ImportError(f"No module named {name!r}")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(ModelSource, "directory", lambda *_: pytest.fail("loaded"))
    with pytest.raises(
        QuantizationError, match=rf"No module named '{missing}'; .*pip install .*bitsandbytes>="
    ):
        load_quantized_model(ModelSource(str(tiny_model)))


def test_a_library_that_fails_on_this_device_is_found(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bitsandbytes

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_4bit", fail)
    with pytest.raises(QuantizationError, match=r"cannot quantise on cpu \(no kernel image.*pip install"):
        load_quantized_model(ModelSource(str(tiny_model)))


@pytest.mark.parametrize(
    ("device", "system", "machine", "told"),
    [
        ("cuda", "Linux", "x86_64", r" \(built against CUDA 13\.0\)\."),
        ("cpu", "Linux", "x86_64", r"\."),
        ("cpu", "Darwin", "arm64", r"\."),
        ("cpu", "Darwin", "x86_64", "; .*there is no build, so use Linux."),
    ],
)
def test_the_install_line_is_that_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, device: str, system: str, machine: str, told: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    line = install_line(torch.device(device))
    assert re.fullmatch(rf'install it with: .* -m pip install .*accelerate "bitsandbytes>=.*"{told}', line)


def test_a_library_that_quantises_wrongly_is_found(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes

    monkeypatch.setattr(bitsandbytes.functional, "dequantize_4bit", lambda packed, state: torch.zeros(64, 64))
    with pytest.raises(QuantizationError, match="quantises wrongly on cpu"):
        load_quantized_model(ModelSource(str(tiny_model)))


def test_weights_that_cannot_be_read_are_told_with_their_folder(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a hub's cache, whose files nobody has checked."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_model, copy)
    (copy / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(ModelSource, "directory", lambda self, weights=True: copy)
    with pytest.raises(ModelSourceError, match=r"weights in .*model cannot be loaded"):
        load_quantized_model(ModelSource(str(copy)))
