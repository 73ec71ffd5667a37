"""What the guards see in a series of losses."""

import math

import pytest

from qwen_pipeline.training.guards import NONFINITE_IN_A_ROW, LossGuard


def falling(count: int) -> list[float]:
    return [3.0 * math.exp(-step / 30) + 0.2 for step in range(count)]


def test_a_falling_loss_is_no_divergence_no_spike_no_stall() -> None:
    guard = LossGuard(200)
    for end in range(1, 100):
        losses = falling(end)
        assert not guard.has_diverged(losses)
        assert not guard.is_spike(losses)
    assert guard.find_stall(falling(100), 1e-4, 1e-4) is None


def test_losses_far_above_the_best_are_a_divergence() -> None:
    assert LossGuard(200).has_diverged([*falling(60), *([8.0] * 10)])


def test_trouble_is_seen_before_it_is_a_divergence() -> None:
    guard = LossGuard(200)
    level = [*falling(60)[:50], *([0.8] * 10)]
    assert not guard.sees_trouble(level)
    rising = [*level, *([2.5] * 4)]
    assert guard.sees_trouble(rising)
    assert not guard.has_diverged(rising)
    assert not guard.is_finite(math.nan, 1.0)
    assert guard.sees_trouble(level)


def test_what_a_guard_has_counted_is_saved_and_loaded() -> None:
    guard, other = LossGuard(200), LossGuard(200)
    for _ in range(NONFINITE_IN_A_ROW - 1):
        guard.is_finite(math.nan, 1.0)
    guard.find_stall([2.0] * 100, 6e-5, 1e-4)
    other.load_state_dict(guard.state_dict())
    assert not other.is_finite(math.nan, 1.0)
    assert other.has_diverged([1.0])
    assert other.find_stall([2.0] * 101, 6e-5, 1e-4) is None


def test_small_losses_may_wander() -> None:
    assert not LossGuard(200).has_diverged([*([0.01] * 40), *([0.05] * 10)])


def test_one_loss_far_above_the_level_is_a_spike_and_no_divergence() -> None:
    losses = [*([0.5] * 30), 9.0]
    assert LossGuard(200).is_spike(losses)
    assert not LossGuard(200).has_diverged(losses)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (math.inf, math.nan)])
def test_steps_that_are_not_finite_may_not_be_taken_and_many_in_a_row_are_a_divergence(
    loss: float, norm: float
) -> None:
    guard = LossGuard(200)
    for _ in range(NONFINITE_IN_A_ROW):
        assert not guard.is_finite(loss, norm)
    assert guard.has_diverged([1.0])
    assert guard.is_finite(1.0, 1.0)
    assert not guard.has_diverged([1.0])


def test_a_flat_loss_is_a_stall_told_once_with_the_parameter_to_change() -> None:
    guard = LossGuard(200)
    advice = guard.find_stall([2.0] * 100, 6e-5, 1e-4)
    assert advice is not None
    assert "learning_rate=0.0002 " in advice  # from the configured rate, whatever the schedule has made of it
    assert guard.find_stall([2.0] * 101, 6e-5, 1e-4) is None


def test_a_loss_that_is_flat_because_the_schedule_ends_is_no_stall() -> None:
    assert LossGuard(200).find_stall([2.0] * 180, 1.6e-6, 4e-3) is None
