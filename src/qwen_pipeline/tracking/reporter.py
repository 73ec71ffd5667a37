"""What the training loop tells the outside world, without knowing who listens."""

from collections.abc import Mapping, Sequence
from typing import Any


class Reporter:
    """Listens to a training, and keeps nothing of it; `MlflowReporter` does."""

    run_id: str | None = None

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Record ``metrics`` at optimiser step ``step``; a step already recorded is ignored."""

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Record all that has happened once so far: skipped steps, rollbacks, splits."""

    def go_back(self, step: int) -> None:
        """The steps after ``step`` are undone: they are told again, and differently."""

    def flush(self) -> None:
        """Hand over what is waiting: a checkpoint follows, and the steps before it are not told again."""
