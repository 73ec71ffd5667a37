"""Which state a diverged training goes back to."""

from typing import Any

from qwen_pipeline.training.guards import RECENT, LossGuard
from qwen_pipeline.training.safe_points import SafePoints


def state(step: int) -> dict[str, Any]:
    return {"history": {"step": step}}


def trusted_after(calm: list[bool], steps: int = 100) -> int:
    points = SafePoints(state(0), steps)
    for step, is_calm in enumerate(calm, 1):
        points.after_step(step, is_calm, lambda step=step: state(step))  # type: ignore[misc]
    return int(points.trusted["history"]["step"])


def test_a_state_is_trusted_when_the_steps_after_it_were_calm() -> None:
    every = 2 * RECENT
    assert trusted_after([True] * (every + RECENT - 1)) == 0
    assert trusted_after([True] * (every + RECENT)) == every
    assert trusted_after([True] * 100) == 80


def test_a_state_before_trouble_is_not_trusted() -> None:
    assert trusted_after([True] * 25 + [False] * 20) == 0
    assert (
        trusted_after([True] * 25 + [False] * 20 + [True] * 20) == 46
    )  # taken at the first calm step, trusted ten later


def test_a_long_training_takes_few_states() -> None:
    taken: list[int] = []
    points = SafePoints(state(0), 10_000)
    for step in range(1, 10_001):
        points.after_step(step, True, lambda step=step: taken.append(step) or state(step))  # type: ignore[misc,func-returns-value]
    assert len(taken) <= 20


def test_calm_is_near_the_best_losses_and_finite() -> None:
    guard = LossGuard(100)
    assert guard.is_calm([2.0] * 40)
    assert not guard.is_calm([2.0] * 40 + [3.0] * RECENT)
    assert guard.is_calm([0.01] * 40 + [0.1] * RECENT)  # small losses wander
    guard.is_finite(float("nan"), 1.0)
    assert not guard.is_calm([2.0] * 40)
