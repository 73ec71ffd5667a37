"""Keeping, recomputing and offloading give the same step in different memory."""

from itertools import pairwise

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from qwen_pipeline.errors import ParameterError, UnsupportedModelError
from qwen_pipeline.memory.activations import (
    ActivationPolicy,
    apply_activation_policy,
    decoder_layers,
    temporary_policy,
)
from qwen_pipeline.memory.live_bytes import LiveBytes


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, attention_dropout=0.0,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).train()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.requires_grad_(True)
    return model


def run_step(model, policy):
    apply_activation_policy(model, policy)
    model.zero_grad()
    embeddings = torch.randn(1, 128, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with LiveBytes() as memory:
        loss = model.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state.square().sum()
        held = memory.live
        loss.backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return loss.item(), gradients, held, memory.peak


def test_every_policy_gives_the_same_gradient(model):
    loss, gradients, *_ = run_step(model, ActivationPolicy(None))
    assert len(gradients) == 4
    for policy in (ActivationPolicy(0), ActivationPolicy(2), ActivationPolicy(0, offload=True)):
        other_loss, other_gradients, *_ = run_step(model, policy)
        assert other_loss == loss
        assert all(map(torch.equal, other_gradients, gradients))


def test_each_layer_kept_costs_its_activations(model):
    held = [run_step(model, ActivationPolicy(kept))[2] for kept in range(5)]
    steps = [after - before for before, after in pairwise(held)]
    assert 128 * 96 * 4 < max(steps) < 1.01 * min(steps)
    assert run_step(model, ActivationPolicy(None))[2] == held[4]


def test_the_layers_nearest_the_head_are_the_ones_kept(model):
    apply_activation_policy(model, ActivationPolicy(1))
    assert [layer.gradient_checkpointing for layer in decoder_layers(model)] == [True, True, True, False]


def test_keeping_the_last_layer_costs_less_at_the_peak_than_keeping_the_first(model):
    last = run_step(model, ActivationPolicy(1))[3]
    apply_activation_policy(model, ActivationPolicy(0))
    layers = decoder_layers(model)
    keep_first = ActivationPolicy(0)
    with temporary_policy(model, keep_first):
        layers[0].gradient_checkpointing = False
        embeddings = torch.randn(1, 128, 32).requires_grad_()
        with LiveBytes() as memory:
            model.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state.square().sum().backward()
    assert last < memory.peak


def test_a_temporary_policy_is_put_back(model):
    apply_activation_policy(model, ActivationPolicy(None))
    with temporary_policy(model, ActivationPolicy(0)):
        assert all(layer.gradient_checkpointing for layer in decoder_layers(model))
    assert not any(layer.gradient_checkpointing for layer in decoder_layers(model))


def test_after_a_temporary_policy_that_ends_in_an_error_layers_recompute_as_before(model):
    apply_activation_policy(model, ActivationPolicy(0))
    with pytest.raises(MemoryError), temporary_policy(model, ActivationPolicy(0, offload=True)):
        assert all(layer._gradient_checkpointing_func.offload for layer in decoder_layers(model))
        raise MemoryError
    assert not any(layer._gradient_checkpointing_func.offload for layer in decoder_layers(model))


@pytest.mark.parametrize("text", ["keep", "recompute", "keep:12", "offload"])
def test_policies_read_as_they_are_written(text):
    assert str(ActivationPolicy.parse(text)) == text


def test_the_switch_of_other_trainers_is_understood():
    assert ActivationPolicy.parse(True) == ActivationPolicy(0)
    assert ActivationPolicy.parse(False) == ActivationPolicy(None)


@pytest.mark.parametrize("text", ["some", "keep:x", "keep:-1", ""])
def test_an_unknown_policy_names_the_choices(text):
    with pytest.raises(ParameterError, match="keep:LAYERS"):
        ActivationPolicy.parse(text)


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(UnsupportedModelError, match="Linear has no decoder layers"):
        decoder_layers(torch.nn.Linear(2, 2))
