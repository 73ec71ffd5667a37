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


@pytest.mark.parametrize("good_steps", [3, 5, 8])
def test_a_divergence_in_the_first_steps_is_seen_against_where_the_training_began(good_steps: int) -> None:
    losses = [*([3.2, 2.9, 3.1] * 3)[:good_steps], *([7.0, 11.0, 9.5, 10.0] * 20)]
    seen = [end for end in range(len(losses)) if LossGuard(200).has_diverged(losses[:end])]
    assert seen[0] <= good_steps + 10


def test_a_first_step_of_easy_rows_is_no_start_to_diverge_from() -> None:
    losses = [0.4, 3.1, 0.5, *([3.0, 2.8, 0.6, 3.1, 2.7] * 10)]
    assert not any(LossGuard(200).has_diverged(losses[:end]) for end in range(len(losses)))


def test_steps_without_a_finite_loss_hide_neither_a_spike_nor_a_stall() -> None:
    guard = LossGuard(200)
    level = [*([0.5] * 9), math.nan, *([0.5] * 9), math.inf]
    assert guard.is_spike([*level, 9.0])
    assert not guard.is_spike([*level, 0.6])
    flat = [*([2.0] * 50), math.nan, *([2.0] * 50)]
    assert "2.000, now 2.000" in str(guard.find_stall(flat, 6e-5, 1e-4))
    falling_with_a_gap = [*falling(100)[:50], math.nan, *falling(100)[50:]]
    assert LossGuard(200).find_stall(falling_with_a_gap, 6e-5, 1e-4) is None


@pytest.mark.parametrize(
    ("losses", "configured"), [([2.0] * 10 + [6.0] * 110, 1e-4), ([2.0] * 120, 0.6)], ids=["risen", "high rate"]
)  # fmt: skip
def test_a_stall_above_the_start_or_at_a_high_rate_asks_for_a_lower_rate(
    losses: list[float], configured: float
) -> None:
    advice = LossGuard(200).find_stall(losses, configured, configured)
    assert advice is not None and f"learning_rate={configured / 5:g}" in advice


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


def test_a_spike_is_far_above_the_level_by_factor_and_by_distance() -> None:
    assert not LossGuard(200).is_spike([*([4.0] * 20), 6.0])
    assert not LossGuard(200).is_spike([*([0.1] * 20), 0.9])


def test_a_spike_is_trouble_though_the_last_losses_together_are_not_high() -> None:
    assert LossGuard(200).sees_trouble([*([0.2] * 40), 1.3])


@pytest.mark.parametrize(("last", "is_stall"), [(1.97, False), (1.99, True)])
def test_a_gain_of_a_hundredth_is_no_stall(last: float, is_stall: bool) -> None:
    advice = LossGuard(200).find_stall([*([2.0] * 50), *([last] * 50)], 1e-4, 1e-4)
    assert (advice is not None) is is_stall


def test_so_few_steps_as_forty_show_no_stall() -> None:
    assert LossGuard(40).find_stall([2.0] * 40, 1e-4, 1e-4) is None


@pytest.mark.parametrize(("configured", "proposed"), [(5e-3, 1e-2), (6e-3, 1.2e-3)])
def test_a_higher_rate_is_proposed_up_to_the_highest_that_suits_an_adapter(
    configured: float, proposed: float
) -> None:
    advice = LossGuard(200).find_stall([2.0] * 100, configured, configured)
    assert advice is not None and f"learning_rate={proposed:g}" in advice


def test_the_window_just_before_the_last_losses_counts_among_the_best() -> None:
    assert LossGuard(200).has_diverged([*([5.0] * 10), *([0.5] * 10), *([3.0] * 10)])


def test_steps_that_overflow_are_left_out_and_never_a_divergence() -> None:
    guard = LossGuard(200)
    for _ in range(2 * NONFINITE_IN_A_ROW):
        assert not guard.is_finite(1.0, math.inf, overflowed=True)
    assert not guard.has_diverged([1.0])
