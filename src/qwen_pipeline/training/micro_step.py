"""One micro-batch: its loss without logits, forward and backward, and the losses of validation.

The loop runs these functions, and the memory plan traces the same ones.
"""

from collections.abc import Callable, Sequence

import torch
from peft import PeftModel
from torch import Tensor

from qwen_pipeline.chat.packing import PackedBatch
from qwen_pipeline.memory.chunked_loss import TokenScores, linear_cross_entropy, score_tokens
from qwen_pipeline.model.attention import packed_hidden_states
from qwen_pipeline.model.device import autocast
from qwen_pipeline.training.noise import noisy_embeddings


def last_hidden_states(model: PeftModel, batch: PackedBatch) -> Tensor:
    """Hidden states before the head, ``[T, D]``; rows do not see each other."""
    return packed_hidden_states(
        model.get_base_model(), batch.input_ids, batch.position_ids, batch.cu_seqlens, batch.row_lengths
    )


def packed_loss(model: PeftModel, batch: PackedBatch) -> Tensor:
    """Summed loss of the trained tokens of one micro-batch; the logits never exist as a whole."""
    head: Tensor = model.get_output_embeddings().weight
    hidden_TD = last_hidden_states(model, batch)
    return linear_cross_entropy(hidden_TD, head, batch.targets, labelled_rows_N=batch.labelled_rows)


def micro_step(
    model: PeftModel,
    batch: PackedBatch,
    seeds: Sequence[int],
    *,
    noise_alpha: float | None,
    device: torch.device,
    compute_dtype: torch.dtype,
    scaled: Callable[[Tensor], Tensor],
) -> Tensor:
    """Forward and backward of one micro-batch, as the loop does them and as the memory plan traces them.

    Args:
        model: The model with adapters.
        batch: The micro-batch.
        seeds: Where each row's noise begins.
        noise_alpha: NEFTune's strength, ``None`` for no noise.
        device: Where the model is.
        compute_dtype: Dtype of the products.
        scaled: Makes of the summed loss what backward starts from.

    Returns:
        The summed loss, nats.
    """
    noise = noisy_embeddings(model, batch.row_lengths, seeds, noise_alpha)
    with autocast(device, compute_dtype), noise:
        loss = packed_loss(model, batch)
    scaled(loss).backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def score_micro_batch(
    model: PeftModel, batch: PackedBatch, device: torch.device, compute_dtype: torch.dtype
) -> TokenScores:
    """Loss and hit of every trained token of one micro-batch, without gradients."""
    with torch.no_grad(), autocast(device, compute_dtype):
        head: Tensor = model.get_output_embeddings().weight
        hidden_TD = last_hidden_states(model, batch)
        return score_tokens(hidden_TD, head, batch.targets, labelled_rows_N=batch.labelled_rows)
