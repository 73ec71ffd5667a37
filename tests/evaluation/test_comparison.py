"""A verdict says better or worse only where the rows do."""

import random

import numpy as np
import pytest

from qwen_pipeline.evaluation import comparison
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


def test_the_interval_divides_each_resample_by_its_own_weights() -> None:
    weights = [float(number) for number in range(1, 21)]
    found = compare_paired(
        [0.0] * 20, [-weight / 2 for weight in weights], weights=weights, lower_is_better=True
    )
    assert (found["low"], found["high"]) == (pytest.approx(-0.5), pytest.approx(-0.5))


def test_an_interval_holds_the_middle_nineteen_of_twenty() -> None:
    generator = random.Random(3)
    tuned = [generator.gauss(0, 1) for _ in range(400)]
    found = compare_paired([0.0] * 400, tuned, lower_is_better=True)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 / 20, rel=0.1)


@pytest.mark.parametrize("rows", [6, 1999, 2001, 4001])
def test_no_number_of_rows_takes_resamples_away(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_BLOCK", 3_000_000)
    gap = np.ones(rows)
    assert len(comparison._resample(gap, gap, np.random.default_rng(0))) >= comparison.RESAMPLES
