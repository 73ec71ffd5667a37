"""Hands the loop's own step to the memory plan."""

from functools import partial
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from qwen_pipeline.chat.packing import PackedBatch
from qwen_pipeline.kernels.fused import planned_on
from qwen_pipeline.memory.planned_attention import register_planned_attention
from qwen_pipeline.memory.trace import MicroBatchShape, StepRecipe
from qwen_pipeline.memory.transaction import GradientTransaction
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.model.lora import attach_lora
from qwen_pipeline.training.micro_step import micro_step


def step_recipe(
    *,
    lora_r: int,
    lora_alpha: float,
    lora_dropout: float = 0.0,
    compute_dtype: torch.dtype = torch.bfloat16,
    on_gpu: bool = True,
    kernels: bool = True,
    neftune_noise_alpha: float | None = None,
    **variant: Any,
) -> StepRecipe:
    """What `memory.plan` traces: the adapters and the micro-step of `training.loop`.

    Args:
        lora_r: Rank of the adapters.
        lora_alpha: Their scale.
        lora_dropout: Dropout before them.
        compute_dtype: Dtype of the products.
        neftune_noise_alpha: Noise on the embeddings; any makes its memory planned.
        **variant: ``use_dora`` and what else ``attach_lora`` takes.
        on_gpu: Plan attention as CUDA's varlen kernel takes it, else as this machine's fallback does.
        kernels: Whether Triton's kernels run on that card.
    """
    return StepRecipe(
        attach_adapters=partial(attach_lora, r=lora_r, alpha=lora_alpha, dropout=lora_dropout, **variant),
        micro_step=partial(
            run_micro_step,
            compute_dtype=compute_dtype,
            noise_alpha=neftune_noise_alpha,
            on_gpu=on_gpu,
            kernels=kernels,
        ),
        attention=_attention(on_gpu, compute_dtype),
        compute_dtype=compute_dtype,
    )


def _attention(on_gpu: bool, compute_dtype: torch.dtype) -> str:
    """What stands for attention: a card without bfloat16, or with float32 products, has no varlen kernel."""
    if not on_gpu:
        return register_packed_attention()
    return register_planned_attention(repeats_heads=compute_dtype != torch.bfloat16)


def run_micro_step(
    model: nn.Module,
    shape: MicroBatchShape,
    *,
    compute_dtype: torch.dtype,
    noise_alpha: float | None = None,
    on_gpu: bool = False,
    kernels: bool = True,
) -> None:
    """Forward and backward of one micro-batch as the loop does them, in a transaction.

    Args:
        model: A PEFT model, fake or real.
        shape: The micro-batch.
        compute_dtype: Dtype of the products.
        noise_alpha: NEFTune's, ``None`` for no noise.
        on_gpu: Compute as a card does.
        kernels: Whether Triton's kernels run on that card.
    """
    tokens, lengths = shape.tokens, shape.row_lengths
    batch = PackedBatch(
        input_ids=torch.zeros(1, tokens, dtype=torch.int64),
        position_ids=torch.cat([torch.arange(length) for length in lengths])[None],
        cu_seqlens=torch.zeros(len(lengths) + 1, dtype=torch.int32),
        row_lengths=tuple(lengths),
        targets=torch.zeros(tokens, dtype=torch.int64),
        labelled_rows=torch.arange(shape.labelled_tokens),
    )
    assert isinstance(model, PeftModel)
    transaction = GradientTransaction(p for p in model.parameters() if p.requires_grad)
    transaction.begin()
    with planned_on("cuda" if on_gpu else "cpu", kernels):
        micro_step(
            model, batch, range(len(lengths)), noise_alpha=noise_alpha, device=torch.device("cpu"),
            compute_dtype=compute_dtype, scaled=lambda loss: loss / tokens,
        )  # fmt: skip
    transaction.commit()
