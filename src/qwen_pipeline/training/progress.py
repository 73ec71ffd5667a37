"""How far a training is: a bar with time left and loss where somebody looks, a line a minute where nobody does."""

import logging
import sys
import time
from typing import Any, Self

from rich.progress import Progress, TextColumn

from qwen_pipeline.text.progress import duration
from qwen_pipeline.training.state import TrainingHistory

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 60.0


class TrainingProgress:
    """Shows the progress while its block runs."""

    def __init__(self, steps: int, is_watched: bool | None = None) -> None:
        """Nothing is shown yet.

        Args:
            steps: Optimiser steps of the whole training.
            is_watched: Whether somebody looks; as the terminal says where left out.
        """
        self._steps = steps
        self._is_watched = sys.stderr.isatty() if is_watched is None else is_watched
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[loss]}"))
        self._bar = Progress(*columns, disable=not self._is_watched, transient=True)
        self._task = self._bar.add_task("train", total=steps, loss="")
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show it."""
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Take the bar away."""
        self._bar.stop()

    def show(self, history: TrainingHistory) -> None:
        """Say where the training is after its last step."""
        loss = history.losses[-1] if history.losses else float("nan")
        self._bar.update(self._task, completed=history.step, loss=f"loss {loss:.3f}")
        now = time.monotonic()
        if self._is_watched or now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        left = history.seconds / max(history.step, 1) * (self._steps - history.step)
        logger.info(
            "Step %d of %d: loss %.3f, %.1f tokens/s, %s left.",
            history.step,
            self._steps,
            loss,
            history.tokens_per_second,
            duration(left),
        )
