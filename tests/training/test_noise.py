"""Noise on the embeddings: its bounds, and that it depends on step and row alone."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.integrations.neftune import neftune_post_forward_hook

from qwen_pipeline.training.noise import noisy_embeddings, row_seeds
from training.test_step import gradients, relative
from training.tiny_training import make_rows, make_trainer

ALPHA = 5.0


class Embedder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(300, 64)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.embedding(ids)
        return embedded


@torch.no_grad()
def test_each_row_has_the_noise_of_its_own_length_and_a_filler_has_none() -> None:
    model, ids = Embedder(), torch.arange(290)[None]
    clean = model(ids)
    with noisy_embeddings(model, (20, 250, 20), [1, 2], ALPHA):
        noise = (model(ids) - clean)[0]
    for part, length in ((noise[:20], 20), (noise[20:270], 250)):
        bound = ALPHA / math.sqrt(length * 64)
        assert 0.95 * bound < part.abs().max() <= bound * 1.001
        assert part.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not noise[270:].any()
    assert torch.equal(model(ids), clean)


@torch.no_grad()
def test_a_single_row_has_noise_as_strong_as_in_transformers() -> None:
    model, ids = Embedder(), torch.arange(100)[None]
    clean = model(ids)
    with noisy_embeddings(model, (100,), [7], ALPHA):
        ours = model(ids) - clean
    model.embedding.neftune_noise_alpha = ALPHA  # type: ignore[assignment]
    model.embedding.register_forward_hook(neftune_post_forward_hook)
    theirs = model(ids) - clean
    assert ours.std() == pytest.approx(float(theirs.std()), rel=0.05)
    assert ours.abs().max() == pytest.approx(float(theirs.abs().max()), rel=0.02)


def test_any_split_of_a_step_has_the_same_noise_and_the_next_step_another(tiny: Path, tmp_path: Path) -> None:
    trainer, rows = make_trainer(tiny, tmp_path, neftune_noise_alpha=50.0), make_rows(6)

    def gradient(max_rows: int, seed: int = 0) -> torch.Tensor:
        trainer.stepper.seed = seed
        torch.rand(1)  # as dropout draws, more often the more micro-batches there are
        return gradients(trainer, rows, max_rows)

    assert relative(gradient(6), gradient(1)) <= 1e-5
    assert relative(gradient(6), gradient(6, seed=1)) > 1e-3
    trainer.stepper.noise_alpha = None
    assert relative(gradient(6), gradient(6, seed=1)) == 0


def test_rows_and_steps_have_seeds_of_their_own() -> None:
    rows = make_rows(5)
    seeds = [*row_seeds(0, 1, rows), *row_seeds(0, 2, rows), *row_seeds(1, 1, rows)]
    assert len(set(seeds)) == 15
    assert row_seeds(0, 1, rows[::-1]) == seeds[:5][::-1]


def test_the_noise_of_a_training_is_another_at_each_step(tiny: Path, tmp_path: Path) -> None:
    trainer, seen = make_trainer(tiny, tmp_path, neftune_noise_alpha=50.0), []
    real = trainer.stepper.accumulate

    def accumulate(rows: Any, step: int = 0) -> Any:
        seen.append(step)
        return real(rows, step)

    trainer.stepper.accumulate = accumulate  # type: ignore[method-assign]
    trainer.run()
    assert seen == [*range(1, trainer.order.steps + 1)]


def test_validation_is_without_noise(tiny: Path, tmp_path: Path) -> None:
    rows = make_rows(4)
    noisy, quiet = (make_trainer(tiny, tmp_path, neftune_noise_alpha=alpha) for alpha in (50.0, None))
    assert noisy.stepper.validate(rows) == quiet.stepper.validate(rows)
