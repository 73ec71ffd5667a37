"""The state that a diverged training goes back to: the newest after which the losses stayed calm."""

from collections.abc import Callable
from typing import Any

from qwen_pipeline.training.guards import RECENT

State = dict[str, Any]  # what `TrainedParts.capture` gives
SHARE = 20  # at most so many states are taken in a training


class SafePoints:
    """Takes a state now and then, on the host, and trusts it when the steps after it have shown no trouble.

    A divergence is noticed some steps after it begins: a state is trusted only ``RECENT`` steps later, or at once
    where validation is better than ever.
    """

    def __init__(self, start: State, steps: int) -> None:
        """Begin with the state that the training starts from.

        Args:
            start: Trusted.
            steps: Optimiser steps of the whole training.
        """
        self.trusted = start
        self._waiting: State | None = None
        self._every = max(2 * RECENT, steps // SHARE)

    def trust(self, state: State) -> None:
        """Go back here and no further: this state is good beyond doubt."""
        self.trusted, self._waiting = state, None

    def after_step(self, step: int, is_calm: bool, capture: Callable[[], State]) -> None:
        """Judge the state that waits, and take the next.

        Args:
            step: Steps taken.
            is_calm: Whether the last ``RECENT`` losses are near the best ones.
            capture: Gives the state after this step.
        """
        if self._waiting is not None and step >= _step_of(self._waiting) + RECENT:
            self.trusted = self._waiting if is_calm else self.trusted
            self._waiting = None
        if self._waiting is None and is_calm and step >= _step_of(self.trusted) + self._every:
            self._waiting = capture()


def _step_of(state: State) -> int:
    return int(state["history"]["step"])
