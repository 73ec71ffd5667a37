"""Lean layers are transformers' layers: the same values, the same gradients, less kept for backward."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP, Qwen3RMSNorm

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy, decoder_layers
from qwen_pipeline.model import lora_product
from qwen_pipeline.model.lean_attention import LeanAttention
from qwen_pipeline.model.lean_layers import LeanFeedForward, LeanRMSNorm, use_lean_layers
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import attach_lora
from qwen_pipeline.model.source import ModelSource

DTYPES = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2), (torch.float16, 2e-3)]
)


def random(*shape: int, dtype: torch.dtype, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def answer_and_gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, and the gradients of the input and of what is trained."""
    x = x.clone().requires_grad_()
    trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        out = layer(x)
    weights = random(*out.shape, dtype=torch.float32, seed=3)
    return [out.detach(), *torch.autograd.grad((out.float() * weights).sum(), [x, *trained])]


def assert_close(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert float((one - other).float().norm()) <= tolerance * float(other.float().norm())


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes of the distinct storages that a forward keeps for backward, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        out = layer(x.clone().requires_grad_())
    assert out.requires_grad
    return sum(kept.values())


@DTYPES
def test_a_norm_has_the_values_and_gradients_of_transformers(dtype: torch.dtype, tolerance: float) -> None:
    theirs = Qwen3RMSNorm(48, eps=1e-6).to(dtype).requires_grad_(False)
    theirs.weight.data = random(48, dtype=dtype, seed=1)
    ours = LeanRMSNorm(theirs.weight, theirs.variance_epsilon)
    x = random(2, 5, 3, 48, dtype=dtype, seed=2) * 3
    assert torch.equal(ours(x), theirs(x))
    assert_close(answer_and_gradients(ours, x), answer_and_gradients(theirs, x), tolerance)
    if dtype != torch.float32:  # there transformers' copies in float32 are the input itself
        assert kept_bytes(ours, x) < 0.6 * kept_bytes(theirs, x)


def adapted_model(
    tiny_model: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, lean: bool, **variant: Any
) -> Any:
    """A 4-bit model with adapters that do something."""
    with monkeypatch.context() as patch:
        if not lean:
            patch.setattr("qwen_pipeline.model.lean_layers.use_lean_layers", lambda model: None)
        model = attach_lora(
            load_quantized_model(ModelSource(str(tiny_model)), compute_dtype=dtype), r=4, alpha=8, **variant
        )
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, generator=generator)
        elif "magnitude" in name:
            nn.init.uniform_(parameter, 0.5, 2.0, generator=generator)
    return model


def adapted_feed_forward(
    tiny_model: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, lean: bool, **variant: Any
) -> nn.Module:
    """The first feed-forward layer of such a model."""
    model = adapted_model(tiny_model, dtype, monkeypatch, lean, **variant)
    kind = LeanFeedForward if lean else Qwen3MLP
    return next(module for module in model.modules() if isinstance(module, kind))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("variant", [{}, {"use_dora": True}, {"dropout": 0.5}], ids=str)
def test_a_feed_forward_layer_has_the_values_and_gradients_of_transformers(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    tolerance: float,
    variant: dict[str, Any],
) -> None:
    ours = adapted_feed_forward(tiny_model, dtype, monkeypatch, True, **variant)
    theirs = adapted_feed_forward(tiny_model, dtype, monkeypatch, False, **variant)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    norm = ours.norm_before[0]
    assert norm is not None and norm.is_left_to_others
    behind_a_norm = nn.Sequential(LeanRMSNorm(norm.weight, norm.eps), theirs)
    x = random(2, 5, 64, dtype=dtype, seed=2)
    results = []
    for layer in (ours, behind_a_norm):
        torch.manual_seed(0)
        results.append(answer_and_gradients(layer, x))
    assert_close(*results, tolerance)
    if not variant:
        assert kept_bytes(ours, x.float()) < 0.65 * kept_bytes(behind_a_norm, x.float())


@DTYPES
def test_a_whole_layer_of_qwen3_has_the_values_and_gradients_of_transformers_and_keeps_less(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float
) -> None:
    models = [adapted_model(tiny_model, dtype, monkeypatch, lean).get_base_model() for lean in (True, False)]
    position_ids = torch.arange(7)[None].expand(2, -1)
    layers = []
    for model in models:
        rotation = model.model.rotary_emb(random(2, 7, 64, dtype=dtype, seed=3), position_ids)
        layers.append(Partial(model.model.layers[0], position_embeddings=rotation, attention_mask=None))
    x = random(2, 7, 64, dtype=dtype, seed=2)
    assert_close(*(answer_and_gradients(layer, x) for layer in layers), tolerance)
    ours, theirs = (kept_bytes(layer, x) for layer in layers)
    assert ours < 0.92 * theirs


class Partial(nn.Module):
    """A layer with some of its arguments."""

    def __init__(self, layer: nn.Module, **arguments: Any) -> None:
        super().__init__()
        self.layer, self.arguments = layer, arguments

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, **self.arguments)


@pytest.mark.parametrize(
    ("variant", "left_out"), [({}, 1), ({"use_dora": True}, 0), ({"dropout": 0.5}, 0)], ids=str
)
def test_a_recomputed_layer_leaves_its_last_product_out_and_has_the_gradients_of_a_kept_one_to_the_bit(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, variant: dict[str, Any], left_out: int
) -> None:
    made: list[int] = []
    product = lora_product._base_product
    monkeypatch.setattr(
        lora_product, "_base_product", lambda x, each: made.append(len(x)) or product(x, each)
    )
    model = adapted_model(tiny_model, torch.float32, monkeypatch, lean=True, **variant).train()
    layers = len(decoder_layers(model))
    ids = torch.arange(12)[None]
    torch.manual_seed(1)
    gradients, products, answer = [], [], model(ids).logits
    for policy in (ActivationPolicy(None), ActivationPolicy(0)):
        made.clear()
        model.zero_grad()
        apply_activation_policy(model, policy)
        torch.manual_seed(0)
        model(ids, labels=ids).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.requires_grad])
        products.append(len(made))
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
    kept, recomputed = products
    assert recomputed == 2 * kept - left_out * layers
    torch.manual_seed(1)
    assert torch.equal(model(ids).logits, answer)  # outside of backward the product is made


@pytest.mark.parametrize(
    "targets", [["down_proj"], ["gate_proj", "down_proj"], ["up_proj", "down_proj"], ["gate_proj"], ["up_proj", "q_proj"]]
)  # fmt: skip
def test_adapters_on_some_layers_have_the_gradients_of_transformers(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, targets: list[str]
) -> None:
    gradients = []
    for lean in (True, False):
        model = adapted_model(tiny_model, torch.float32, monkeypatch, lean, target_modules=targets)
        ids = torch.arange(12)[None]
        model(ids, labels=ids).loss.backward()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        assert all(parameter.grad is not None for parameter in trained)
        gradients.append([parameter.grad for parameter in trained])
    assert_close(*gradients, 1e-5)


@pytest.mark.parametrize(("config_class", "model_class"), [(Qwen2Config, Qwen2ForCausalLM), (LlamaConfig, LlamaForCausalLM)])  # fmt: skip
def test_other_supported_models_get_them_too_and_answer_alike(config_class: Any, model_class: Any) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "vocab_size": 64}  # fmt: skip
    theirs = model_class(config_class(**shape)).requires_grad_(False)
    ours = copy.deepcopy(theirs)
    use_lean_layers(ours)
    kinds = [type(module) for module in ours.modules()]
    assert kinds.count(LeanRMSNorm) == 5
    assert kinds.count(LeanFeedForward) == 2
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ids = torch.arange(10)[None]
    assert torch.equal(ours(ids).logits, theirs(ids).logits)


@pytest.mark.parametrize(("config_class", "model_class"), [(LlamaConfig, LlamaForCausalLM), (Qwen3Config, Qwen3ForCausalLM)])  # fmt: skip
def test_a_feed_forward_layer_with_another_activation_stays_as_it_is(
    config_class: Any, model_class: Any
) -> None:
    config = config_class(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, vocab_size=64, hidden_act="gelu",
    )  # fmt: skip
    theirs = model_class(config).requires_grad_(False)
    ours = copy.deepcopy(theirs)
    use_lean_layers(ours)
    assert not any(isinstance(module, LeanFeedForward) for module in ours.modules())
    ids = torch.arange(10)[None]
    assert torch.equal(ours(ids).logits, theirs(ids).logits)


@DTYPES
def test_qwen3_answers_and_generates_to_the_bit_as_in_transformers(
    dtype: torch.dtype, tolerance: float
) -> None:
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 128}  # fmt: skip
    theirs = Qwen3ForCausalLM(Qwen3Config(**shape)).to(dtype).requires_grad_(False)
    ours = copy.deepcopy(theirs)
    use_lean_layers(ours)
    assert sum(isinstance(module, LeanAttention) for module in ours.modules()) == 2
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ids = torch.arange(24).reshape(2, 12)
    mask = torch.ones_like(ids)
    mask[0, :3] = 0  # filled up on the left, as batched generation does
    inputs = {"input_ids": ids, "attention_mask": mask}
    assert torch.equal(ours(**inputs).logits, theirs(**inputs).logits)
    told = [model.generate(**inputs, max_new_tokens=8, do_sample=False) for model in (ours, theirs)]
    assert torch.equal(*told)
