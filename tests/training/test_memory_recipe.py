"""The memory plan traces the loop's own step."""

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Qwen3Config

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.trace import MicroBatchShape, measure_step, trace_step
from qwen_pipeline.training.memory_recipe import step_recipe

KEEP = ActivationPolicy(None)


@pytest.fixture(scope="module")
def config():
    return Qwen3Config(
        vocab_size=2048, hidden_size=64, intermediate_size=192, num_hidden_layers=5, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
    )  # fmt: skip


def quantised_model(config, recipe, folder):
    AutoModelForCausalLM.from_config(config, dtype=recipe.compute_dtype).save_pretrained(folder)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=recipe.compute_dtype,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=quantization,
        dtype=recipe.compute_dtype,
        device_map="cpu",
        attn_implementation=recipe.attention,
    )
    return recipe.attach_adapters(model.requires_grad_(False)).train()


@pytest.mark.parametrize(
    ("dtype", "variant"),
    [
        (torch.bfloat16, {}), (torch.float16, {}), (torch.float32, {}),
        (torch.bfloat16, {"use_dora": True, "lora_dropout": 0.1, "neftune_noise_alpha": 5.0}),
    ],
)  # fmt: skip
def test_the_planned_peak_is_that_of_the_loops_real_step(config, tmp_path, dtype, variant):
    recipe = step_recipe(lora_r=8, lora_alpha=16, compute_dtype=dtype, on_gpu=False, **variant)
    shape = MicroBatchShape((160, 96), 256)
    model = quantised_model(config, recipe, tmp_path)
    for policy in (ActivationPolicy(0), ActivationPolicy(None)):
        measured = measure_step(model, recipe, shape, policy).peak()[0]
        planned = trace_step(config, recipe, shape, policy).peak()[0]
        assert planned == pytest.approx(measured, rel=0.05)


def test_the_magnitudes_of_dora_are_planned(config):
    traces = [
        trace_step(
            config, step_recipe(lora_r=8, lora_alpha=16, **variant), MicroBatchShape((200,), 200), KEEP, 2
        )
        for variant in ({}, {"use_dora": True})
    ]
    outputs = 2 * (2 * 64 + 2 * 32 + 2 * 192 + 64)  # two layers, one magnitude for each output
    assert traces[1].model.adapters - traces[0].model.adapters == 4 * outputs
    assert traces[1].peak()[0] > traces[0].peak()[0]


def test_a_plan_for_a_card_is_found_without_one(config):
    recipe = step_recipe(lora_r=8, lora_alpha=16)
    plan = make_plan(PlanRequest(config, recipe, [200, 100], 2, MemoryCap(8.0, 0.5)))
    assert plan.fits and plan.max_tokens == 300


def test_a_card_without_triton_is_planned_with_what_pytorchs_own_operations_take() -> None:
    config = Qwen3Config(
        vocab_size=4096, hidden_size=64, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16,
    )  # fmt: skip
    peaks = [
        trace_step(
            config,
            step_recipe(lora_r=4, lora_alpha=8, kernels=kernels),
            MicroBatchShape((512,), 512),
            ActivationPolicy(0),
        ).peak()[0]
        for kernels in (True, False)
    ]
    assert peaks[0] < peaks[1]
