"""NEFTune: uniform noise on the embeddings of a training, drawn for each row by itself.

Source: Jain et al. 2023, "NEFTune: Noisy Embeddings Improve Instruction Finetuning": a row of L tokens and width D gets noise
within ``alpha / sqrt(L D)``. The length is the row's own, neither that of a padded batch nor of a pack. A row's noise
depends on the step and the row alone, so that it is the same whatever the micro-batches, also after running out of memory.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.training.state import seed_of


def row_seeds(seed: int, step: int, rows: Sequence[Row]) -> list[int]:
    """Where the noise of each row begins: a function of the training's seed, the optimiser step and the row.

    Nothing is drawn for it, so that dropout, which draws as often as there are micro-batches, does not change it.
    """
    return [seed_of(seed, step, row["example_id"]) for row in rows]


@contextmanager
def noisy_embeddings(
    model: Any, row_lengths: Sequence[int], seeds: Sequence[int], alpha: float | None
) -> Iterator[None]:
    """Add noise to what the embedding gives while the block runs.

    Args:
        model: A causal model of transformers, or a PEFT model of one.
        row_lengths: Tokens of each row of the micro-batch, a filler without noise last.
        seeds: One a row.
        alpha: Strength; ``None`` adds nothing.
    """
    if alpha is None:
        yield
        return

    def add(module: Any, inputs: Any, embedded_1TD: Tensor) -> Tensor:
        noise_1TD = torch.zeros_like(embedded_1TD)
        for part_LD, seed in zip(torch.split(noise_1TD[0], list(row_lengths)), seeds, strict=False):
            bound = alpha / math.sqrt(part_LD.numel())
            part_LD.uniform_(-bound, bound, generator=torch.Generator(embedded_1TD.device).manual_seed(seed))
        return noise_1TD.add_(embedded_1TD)

    handle = model.get_input_embeddings().register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
