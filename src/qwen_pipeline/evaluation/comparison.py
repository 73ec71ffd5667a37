"""Whether a difference is one: paired bootstrap over the held-out rows, and a plain verdict."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST_ROWS = (
    6  # of fewer not even a difference of one sign in all of them is significant: 2 · (1/2)^5 > 0.05
)
_BLOCK = 4_000_000  # drawn indices at a time

Verdict = Literal["better", "worse", "not told apart"]
LOWER_IS_BETTER = ("loss", "bits_per_character", "repetition", "irrelevance", "format_error")


def compare_paired(
    base: Sequence[float],
    tuned: Sequence[float],
    *,
    lower_is_better: bool,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Difference of two means over the same rows, with a bootstrap interval.

    Args:
        base: A figure of each row under the base model; with weights, its sum over the row.
        tuned: The same under the tuned model.
        lower_is_better: What a fall means.
        weights: What the sums are divided by (tokens of a row); 1 by default.
        seed: Of the resampling.

    Returns:
        ``difference`` (tuned minus base), ``low`` and ``high`` of the 95 % interval, and the ``verdict``. Rows too few
        for one have no interval and are not told apart: resampling a handful gives one that is far too narrow.

    Source: Koehn, Statistical Significance Tests for Machine Translation Evaluation, 2004.
    """
    gap = np.asarray(tuned, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    weight = np.ones_like(gap) if weights is None else np.asarray(weights, dtype=np.float64)
    difference = float(gap.sum() / max(weight.sum(), 1e-12))
    if len(gap) < FEWEST_ROWS:
        return {"difference": difference, "low": None, "high": None, "verdict": "not told apart"}
    drawn = _resample(gap, weight, np.random.default_rng(seed))
    edge = (1 - CONFIDENCE) / 2
    low, high = (float(value) for value in np.quantile(drawn, [edge, 1 - edge]))
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "verdict": _verdict(low, high, lower_is_better),
    }


def _resample(gap: Any, weight: Any, random: Any) -> Any:
    rounds = max(1, min(RESAMPLES, _BLOCK // len(gap)))
    means = []
    for _ in range(-(-RESAMPLES // rounds)):
        rows = random.integers(0, len(gap), size=(rounds, len(gap)))
        means.append(gap[rows].sum(axis=1) / np.maximum(weight[rows].sum(axis=1), 1e-12))
    return np.concatenate(means)


def _verdict(low: float, high: float, lower_is_better: bool) -> Verdict:
    if low <= 0 <= high:
        return "not told apart"
    return "better" if (high < 0) == lower_is_better else "worse"
