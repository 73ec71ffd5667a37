"""A training small enough for a test: two layers, a dozen rows, the real 4-bit path."""

import random
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import attach_lora
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.loop import Trainer
from qwen_pipeline.training.planning import TrainingPlan

SETTINGS: dict[str, Any] = {
    "num_epochs": 2, "batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-2, "lora_r": 4,
    "lora_alpha": 8, "bf16": False, "save_strategy": "no", "gradient_checkpointing": False,
}  # fmt: skip


def make_rows(count: int, seed: int = 0, longest: int = 20) -> list[dict[str, Any]]:
    """Rows of random ids whose second half is trained."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        ids = [generator.randrange(10, 300) for _ in range(generator.randrange(6, longest))]
        half = len(ids) // 2
        rows.append({"input_ids": ids, "labels": [-100] * half + ids[half:], "example_id": f"row-{number}"})
    return rows


def make_model(directory: Path, parameters: TrainParameters) -> PeftModel:
    """The tiny model in 4 bits with fresh adapters."""
    dtype = torch.bfloat16 if parameters.bf16 else torch.float32
    base = load_quantized_model(
        ModelSource(str(directory)),
        compute_dtype=dtype,
        device="cpu",
        attn_implementation=register_packed_attention(),
    )
    return attach_lora(
        base, r=parameters.lora_r, alpha=parameters.lora_alpha, dropout=parameters.lora_dropout,
        seed=parameters.seed, **parameters.lora_variant,
    )  # fmt: skip


def make_trainer(
    directory: Path,
    folder: Path,
    rows: list[dict[str, Any]] | None = None,
    validation: list[dict[str, Any]] | None = None,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Trainer:
    """A trainer ready to run."""
    torch.set_num_threads(1)
    parameters = TrainParameters(**{**SETTINGS, **settings})
    rows_of_step = parameters.examples_per_step if parameters.batch_size == "auto" else parameters.batch_size
    checkpointing = parameters.gradient_checkpointing
    policy = ActivationPolicy.parse("keep" if checkpointing == "auto" else checkpointing)
    plan = TrainingPlan(int(rows_of_step), None, policy, None)
    return Trainer(
        make_model(directory, parameters), make_rows(12) if rows is None else rows, validation or [], parameters,
        plan, reporter or Reporter(), folder,
    )  # fmt: skip


def adapter_bytes(trainer: Trainer) -> bytes:
    """The trained adapters as they would be written."""
    from safetensors.torch import save

    from qwen_pipeline.training.checkpoint import adapter_weights

    return save(adapter_weights(trainer.model))
