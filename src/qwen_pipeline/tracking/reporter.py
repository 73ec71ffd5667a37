"""What the training loop tells the outside world, without knowing who listens."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Reporter(Protocol):
    """Listens to a training; MLflow is one listener, silence another."""

    run_id: str | None

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Record ``metrics`` at optimiser step ``step``; a step already recorded is ignored."""

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Record all that has happened once so far: skipped steps, rollbacks, splits."""

    def go_back(self, step: int) -> None:
        """The steps after ``step`` are undone: they are told again, and differently."""

    def flush(self) -> None:
        """Hand over what is waiting: a checkpoint follows, and the steps before it are not told again."""


class SilentReporter:
    """A reporter that records nothing."""

    run_id: str | None = None

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Ignore ``metrics``."""

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Ignore ``events``."""

    def go_back(self, step: int) -> None:
        """Nothing was recorded."""

    def flush(self) -> None:
        """Nothing is waiting."""
