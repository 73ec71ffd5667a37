"""A fast card with a slow processor: the plan prefers micro-batches that are full."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import Qwen2Config, Qwen3Config

from qwen_pipeline.memory import pace
from qwen_pipeline.memory.cap import planned_cap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.training.memory_recipe import step_recipe

SHAPE = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 8, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip


def test_the_linear_weights_of_a_layer_are_counted() -> None:
    assert pace.linear_elements_a_layer(Qwen3Config(**SHAPE)) == 64 * (12 * 16 + 3 * 192)
    without = {name: value for name, value in SHAPE.items() if name != "head_dim"}
    assert pace.linear_elements_a_layer(Qwen2Config(**without)) == 64 * (12 * 16 + 3 * 192)


def test_without_a_card_nothing_is_measured() -> None:
    assert pace.measure_host_tokens(Qwen3Config(**SHAPE), torch.device("cpu")) == 0


@pytest.mark.parametrize(("rate", "tokens"), [(60e12, 4096), (1e9, 1)])
def test_tokens_are_a_power_of_two(monkeypatch: pytest.MonkeyPatch, rate: float, tokens: float) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(pace, "_seconds_a_call", lambda device: 5e-6)
    monkeypatch.setattr(pace, "matrix_rate", lambda device: rate)
    config = Qwen3Config(**{**SHAPE, "hidden_size": 256, "intermediate_size": 18_000})
    assert pace.measure_host_tokens(config, torch.device("cuda", 0)) == tokens


def test_the_rate_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 10.0, 10.5, 20.0, 21.0])
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert pace.matrix_rate(torch.device("cpu"), side=8, repeats=3) == 2 * 8**3 / 0.5


def test_a_card_that_waits_for_the_host_gets_fewer_and_fuller_micro_batches() -> None:
    recipe = step_recipe(lora_r=8, lora_alpha=16)
    request = PlanRequest(Qwen3Config(**SHAPE), recipe, [400] * 16, 16, planned_cap(1.0, context_gib=0.95))
    busy = make_plan(request)
    waiting = make_plan(replace(request, host_tokens=100_000))
    assert busy.fits and waiting.fits
    assert waiting.max_tokens > busy.max_tokens
