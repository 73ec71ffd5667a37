"""A layer that is computed again gives what a kept one gives, and costs the host little more."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy

TEXT = torch.arange(1, 33)[None]


class Dropped(nn.Module):
    """A frozen product whose input is dropped at random."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear, self.dropout = linear, nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dropout(x))


def make_model(dropout: bool = False) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, attention_dropout=0.0,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).train().requires_grad_(False)
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.requires_grad_(True)
        if dropout:
            layer.mlp.up_proj = Dropped(layer.mlp.up_proj)
    return model


def take_step(model: Qwen3ForCausalLM, policy: str) -> list[Tensor]:
    """Loss and gradients of a text; the embeddings want no gradient, so neither does the first layer's input."""
    apply_activation_policy(model, ActivationPolicy.parse(policy))
    model.zero_grad()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.model(input_ids=TEXT, use_cache=False).last_hidden_state.float().square().sum()
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("policy", ["recompute", "keep:1", "offload"])
@pytest.mark.parametrize("dropout", [False, True])
def test_autocast_dropout_and_a_frozen_input_give_the_bits_of_a_kept_layer(
    policy: str, dropout: bool
) -> None:
    model = make_model(dropout)
    kept, again = take_step(model, "keep"), take_step(model, policy)
    assert len(kept) == 3
    assert all(map(torch.equal, kept, again))
    assert float(kept[1].abs().sum()) > 0


def test_where_no_gradient_is_wanted_a_recomputed_layer_just_runs() -> None:
    model = make_model()
    answers = []
    for policy in ("keep", "recompute"):
        apply_activation_policy(model, ActivationPolicy.parse(policy))
        with torch.no_grad():
            answers.append(model.model(input_ids=TEXT, use_cache=False).last_hidden_state)
    assert torch.equal(*answers)


def test_dropout_after_a_recomputed_step_draws_what_it_would_have_drawn() -> None:
    model = make_model(dropout=True)
    take_step(model, "keep")
    expected = torch.rand(3)
    take_step(model, "recompute")
    assert torch.equal(torch.rand(3), expected)


def test_a_failure_while_a_layer_is_computed_again_comes_out_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model()
    apply_activation_policy(model, ActivationPolicy(0))
    loss = model.model(input_ids=TEXT, use_cache=False).last_hidden_state.sum()

    def fail(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.model.layers[0].mlp, "forward", fail)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        loss.backward()


def test_the_host_does_little_more_for_layers_that_are_computed_again() -> None:
    model = make_model()
    kept, again = (count_calls(lambda p=policy: take_step(model, p)) for policy in ("keep", "recompute"))
    assert again < 1.4 * kept


def count_calls(action: Callable[[], object]) -> int:
    """Calls of Python functions: what the host does for a layer, whatever its size."""
    action()
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls
