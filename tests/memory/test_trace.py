"""The traced step is the real one: against a real run, and small traces against the whole."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from transformers import AutoModelForCausalLM

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.fake_model import count_model_bytes
from qwen_pipeline.memory.planned_attention import register_planned_attention
from qwen_pipeline.memory.step_model import StepModel
from qwen_pipeline.memory.trace import MicroBatchShape, StepRecipe, measure_step, trace_step

SHAPE = MicroBatchShape((300, 212), 384)


def build_real_model(config, recipe):
    """The same model with real 4-bit weights, quantised by bitsandbytes."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=recipe.compute_dtype)
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and name != "lm_head":
                quantised = Linear4bit(
                    child.in_features, child.out_features, bias=False, compute_dtype=recipe.compute_dtype
                )
                quantised.load_state_dict({"weight": child.weight})
                setattr(parent, name, quantised.to("cpu"))
    model.is_loaded_in_4bit = True
    return recipe.attach_adapters(model).train()


@pytest.fixture(scope="module")
def real_model(config, recipe):
    return build_real_model(config, recipe)


def test_the_fake_model_holds_the_bytes_of_the_real_one(config, recipe, real_model):
    real = count_model_bytes(real_model)
    planned = trace_step(config, recipe, SHAPE, ActivationPolicy(0)).model
    assert planned.weights == real.weights
    assert planned.adapters == real.adapters and planned.adapter_elements == real.adapter_elements
    # On a CPU the layers share one table of codes that each has for itself on a card.
    assert real.quantisation <= planned.quantisation <= real.quantisation + 63 * 1024
    assert planned.buffers == pytest.approx(real.buffers, abs=1024)


@pytest.mark.parametrize("kept", [0, 4, None])
@pytest.mark.parametrize("accumulates", [True, False])
def test_the_planned_peak_is_that_of_a_real_step(config, recipe, real_model, kept, accumulates):
    recipe = StepRecipe(recipe.attach_adapters, recipe.micro_step, "sdpa", torch.float32, accumulates)
    real_model.zero_grad()
    measured = measure_step(real_model, recipe, SHAPE, ActivationPolicy(kept)).peak()[0]
    planned = trace_step(config, recipe, SHAPE, ActivationPolicy(kept)).peak()[0]
    assert planned == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("attention", ["sdpa", "planned"])
def test_a_step_put_together_equals_the_whole_trace_to_the_byte(config, recipe, attention):
    name = register_planned_attention() if attention == "planned" else attention
    recipe = StepRecipe(recipe.attach_adapters, recipe.micro_step, name, torch.bfloat16)
    parts = StepModel(config, recipe, SHAPE)
    for kept in (0, 5, 9):
        assert parts.step(9, kept) == trace_step(config, recipe, SHAPE, ActivationPolicy(kept))


def test_an_offloaded_step_put_together_equals_the_whole_trace(config, recipe):
    policy = ActivationPolicy(0, offload=True)
    assert StepModel(config, recipe, SHAPE, offload=True).step(9, 0) == trace_step(
        config, recipe, SHAPE, policy
    )


def test_offloading_takes_less_than_recomputing_and_that_less_than_keeping(config, recipe):
    peaks = [
        trace_step(config, recipe, SHAPE, policy).peak()[0]
        for policy in (ActivationPolicy(0, offload=True), ActivationPolicy(0), ActivationPolicy(None))
    ]
    assert peaks[0] < peaks[1] < peaks[2]


def test_combinations_next_to_a_border_are_left_to_a_whole_trace(config, recipe):
    parts = StepModel(config, recipe, SHAPE)
    assert [kept for kept in range(10) if not parts.can_step(9, kept)] == [1, 2, 7, 8]
    with pytest.raises(ValueError, match="2 kept of 9"):
        parts.step(9, 2)


def test_held_gradients_cost_the_adapters_once_more(config, recipe):
    single = StepRecipe(recipe.attach_adapters, recipe.micro_step, "sdpa", torch.float32, accumulates=False)
    several = StepRecipe(recipe.attach_adapters, recipe.micro_step, "sdpa", torch.float32, accumulates=True)
    traces = [trace_step(config, item, SHAPE, ActivationPolicy(0)) for item in (single, several)]
    assert traces[1].start - traces[0].start == pytest.approx(traces[0].model.adapters, rel=0.01)


def test_the_planned_attention_leaves_no_matrix_of_tokens_times_tokens(config, recipe):
    peaks = {}
    for tokens in (512, 1024, 2048):
        shape = MicroBatchShape((tokens,), 64)
        planned = StepRecipe(
            recipe.attach_adapters, recipe.micro_step, register_planned_attention(), torch.bfloat16
        )
        peaks[tokens] = trace_step(config, planned, shape, ActivationPolicy(0), layers=3).peak()[0]
    assert peaks[2048] - peaks[1024] == pytest.approx(2 * (peaks[1024] - peaks[512]), rel=0.02)
