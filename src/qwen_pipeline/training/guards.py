"""Watches the losses: what is not finite, a divergence, a stall; each with what to change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

# Thresholds are this project's own: far outside of what batches of one data set differ by, and met by a divergence within tens of steps.
FIRST = 3  # steps that show where a training began
RECENT = 10  # steps that are compared with the best ones
DIVERGED_FACTOR = 2.0
DIVERGED_NATS = 1.0  # and at least so much above the best, so that small losses may wander
TROUBLE_SHARE = 0.5  # of the way from the best losses to a divergence
SPIKE_FACTOR = 4.0
STALL_SHARE = 0.25  # of the steps, without a gain of STALL_GAIN
STALL_GAIN = 0.01
FEWEST_FOR_A_STALL = 50
RISEN_FACTOR = 1.25  # of where a training began: above it a flat loss is damage, no lack of speed
STALL_RATE = 0.1  # of the configured rate: below it the schedule ends, and a flat loss is no stall
HIGHEST_PROPOSED_RATE = (
    1e-2  # LoRA is trained at 1e-5 to 2e-3 (Hu et al. 2021, table 11 ff.); more is never the remedy
)
NONFINITE_IN_A_ROW = 5


@dataclass
class LossGuard:
    """Judges each step's loss against those before it.

    Attributes:
        steps: Optimiser steps of the whole training.
    """

    steps: int
    nonfinite_in_a_row: int = 0
    stall_told: bool = False

    def is_finite(self, loss: float, norm: float, overflowed: bool = False) -> bool:
        """Whether a step may be taken; counts those that may not.

        Args:
            loss: Of the step, nats.
            norm: Of its gradient.
            overflowed: The loss scale of float16 was too high. The step may not be taken, and says nothing of the
                training: in the search for a scale many in a row are normal.
        """
        if overflowed:
            return False
        finite = math.isfinite(loss) and math.isfinite(norm)
        self.nonfinite_in_a_row = 0 if finite else self.nonfinite_in_a_row + 1
        return finite

    def has_diverged(self, losses: Sequence[float]) -> bool:
        """Whether the last steps are far above the best ones, or no step is finite any more."""
        if self.nonfinite_in_a_row >= NONFINITE_IN_A_ROW:
            return True
        return _has_risen(losses, 1.0)

    def sees_trouble(self, losses: Sequence[float]) -> bool:
        """Whether the last steps could be a divergence's first: not finite, a spike, or half the way up to it."""
        return self.nonfinite_in_a_row > 0 or self.is_spike(losses) or _has_risen(losses, TROUBLE_SHARE)

    def state_dict(self) -> dict[str, Any]:
        """What it has counted and told."""
        return {"nonfinite_in_a_row": self.nonfinite_in_a_row, "stall_told": self.stall_told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put that back."""
        self.nonfinite_in_a_row, self.stall_told = state["nonfinite_in_a_row"], state["stall_told"]

    def is_spike(self, losses: Sequence[float]) -> bool:
        """Whether the last loss stands far above the median of those before it."""
        before = _finite(losses[-1 - 2 * RECENT : -1])
        if len(before) < RECENT:
            return False
        level = median(before)
        return losses[-1] > SPIKE_FACTOR * level and losses[-1] > level + DIVERGED_NATS

    def find_stall(self, losses: Sequence[float], rate: float, configured: float) -> str | None:
        """What to change when the loss has not fallen for a good part of the run; told once.

        Args:
            losses: Of all steps so far.
            rate: Learning rate of the last step.
            configured: ``learning_rate`` as the user set it, from which another is proposed.
        """
        window = max(FEWEST_FOR_A_STALL, int(self.steps * STALL_SHARE))
        losses = _finite(losses)
        if self.stall_told or len(losses) < 2 * window or rate < STALL_RATE * configured:
            return None
        before, now = fmean(losses[-2 * window : -window]), fmean(losses[-window:])
        if now < before * (1 - STALL_GAIN):
            return None
        self.stall_told = True
        seen = f"The loss has not fallen for {window} steps ({before:.3f}, now {now:.3f})"
        if now > RISEN_FACTOR * (start := median(losses[:FIRST])):
            return f"{seen} and is above where it began ({start:.3f}). Try learning_rate={configured / 5:g}."
        if configured * 2 > HIGHEST_PROPOSED_RATE:
            return f"{seen}. Try learning_rate={configured / 5:g}: the present one is high for an adapter."
        return (
            f"{seen}. Try learning_rate={configured * 2:g} or lr_scheduler_type=cosine_with_restarts; if validation "
            "rises meanwhile, stop earlier with early_stopping_patience=2."
        )


def _finite(losses: Sequence[float]) -> list[float]:
    return [loss for loss in losses if math.isfinite(loss)]


def _has_risen(losses: Sequence[float], share: float) -> bool:
    """Whether the last losses have come ``share`` of the way from the best ones to a divergence."""
    losses = _finite(losses)
    recent, levels = losses[-RECENT:], _levels(losses)
    if not levels:
        return False
    best, now = min(levels), fmean(recent)
    return now > best * (1 + share * (DIVERGED_FACTOR - 1)) and now > best + share * DIVERGED_NATS


def _levels(losses: Sequence[float]) -> list[float]:
    """What the last losses are compared with: the means of the windows before them, and where the training began.

    A training may diverge before its first window is whole. So few steps vary more than a window, so they count only
    where every one of the last losses lies above every one of them.
    """
    before = losses[:-RECENT]
    whole = range(0, len(before) - RECENT + 1, RECENT)
    levels = [fmean(before[at : at + RECENT]) for at in whole]
    if len(before) >= FIRST and min(losses[-RECENT:]) > max(before[:FIRST]):
        levels.append(median(before[:FIRST]))
    return levels
