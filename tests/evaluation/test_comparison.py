"""A verdict says better or worse only where the rows do."""

import random

import pytest

from qwen_pipeline.evaluation.comparison import compare_paired


def noisy(shift: float, count: int = 80) -> tuple[list[float], list[float]]:
    generator = random.Random(1)
    base = [generator.gauss(5, 1) for _ in range(count)]
    return base, [value + shift + generator.gauss(0, 0.5) for value in base]


@pytest.mark.parametrize(
    ("shift", "lower_is_better", "verdict"),
    [
        (-1, True, "better"),
        (1, True, "worse"),
        (1, False, "better"),
        (-1, False, "worse"),
        (0, True, "not told apart"),
    ],
)
def test_the_verdict_follows_the_interval(shift: float, lower_is_better: bool, verdict: str) -> None:
    found = compare_paired(*noisy(shift), lower_is_better=lower_is_better)
    assert found["verdict"] == verdict
    assert found["low"] <= found["difference"] <= found["high"]


def test_the_difference_is_weighted_by_tokens() -> None:
    found = compare_paired([10.0, 1.0], [5.0, 1.0], weights=[10, 90], lower_is_better=True)
    assert found["difference"] == pytest.approx(-0.05)


def test_a_seed_gives_the_same_interval_again() -> None:
    once, again = (compare_paired(*noisy(0.1), lower_is_better=True, seed=7) for _ in range(2))
    assert once == again


def test_rows_that_do_not_differ_are_not_told_apart() -> None:
    assert compare_paired([1.0] * 9, [1.0] * 9, lower_is_better=True)["verdict"] == "not told apart"


def test_too_few_rows_are_not_told_apart_however_large_the_difference() -> None:
    few, enough = ([9.0] * count for count in (5, 6))
    found = compare_paired(few, [1.0] * 5, lower_is_better=True)
    assert found == {"difference": -8.0, "low": None, "high": None, "verdict": "not told apart"}
    assert compare_paired(enough, [1.0] * 6, lower_is_better=True)["verdict"] == "better"
