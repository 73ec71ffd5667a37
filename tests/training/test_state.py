"""What a history takes for the best, and what a rollback leaves as it is."""

import math

import pytest
import torch

from qwen_pipeline.training.state import TrainingHistory, random_states, restore_random_states


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([math.nan, 2.0, 3.0], 2.0),
        ([2.0, math.nan, 1.0], 1.0),
        ([math.inf, 5.0], 5.0),
        ([math.nan, -math.inf], None),
    ],
)
def test_a_validation_loss_that_is_not_finite_is_never_the_best(
    losses: list[float], best: float | None
) -> None:
    history = TrainingHistory()
    told = []
    for history.step, loss in enumerate(losses, start=1):
        told.append(history.note_validation(loss))
    assert history.best_loss == best
    assert all(math.isfinite(loss) for loss, is_best in zip(losses, told, strict=True) if is_best)
    assert len(history.validation) == len(losses)


def test_a_best_that_an_earlier_version_took_for_one_is_beaten() -> None:
    history = TrainingHistory(step=9, best_loss=math.nan, best_step=3)
    assert history.note_validation(4.0)
    assert (history.best_loss, history.best_step) == (4.0, 9)


def test_a_validation_that_is_not_finite_tries_the_patience() -> None:
    history = TrainingHistory(best_loss=1.0)
    history.note_validation(math.nan)
    assert history.validations_without_gain == 1


def test_a_rollback_stays_in_the_run_that_is_open() -> None:
    restored = TrainingHistory(step=20, mlflow_run_id="of the first part")
    restored.follow_rollback(TrainingHistory(step=45, mlflow_run_id="the one that is open"), rate=0.5)
    assert restored.mlflow_run_id == "the one that is open"


def test_an_equal_validation_loss_is_no_gain() -> None:
    history = TrainingHistory(step=9, best_loss=1.0, best_step=3)
    assert not history.note_validation(1.0)
    assert (history.best_step, history.validations_without_gain) == (3, 1)


def test_every_rollback_slows_down_further() -> None:
    restored = TrainingHistory(step=20)
    restored.follow_rollback(TrainingHistory(step=45, rollbacks=1, rate_factor=0.5), rate=0.5)
    assert (restored.rollbacks, restored.rate_factor) == (2, 0.25)


def test_a_training_of_two_cards_goes_on_where_one_is_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after CUDA_VISIBLE_DEVICES=1, which is what to do where another program takes the first card."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda.random, "_lazy_call", lambda callback: callback())
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    (card,) = cards = (torch.Generator().manual_seed(5),)
    monkeypatch.setattr(torch.cuda, "default_generators", cards)
    first, second = (torch.Generator().manual_seed(seed).get_state() for seed in (1, 2))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [first, second])
    restore_random_states(random_states())
    assert torch.equal(card.get_state(), first)
