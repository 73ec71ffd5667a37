"""What the training loop tells the outside world, without knowing who listens."""

from typing import Any, Protocol


class Reporter(Protocol):
    """Listens to a training; MLflow is one listener, silence another."""

    run_id: str | None

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Record ``metrics`` at optimiser step ``step``; a step already recorded is ignored."""

    def event(self, kind: str, **fields: Any) -> None:
        """Record something that happened once: a skipped step, a rollback, a split."""

    def go_back(self, step: int) -> None:
        """The steps after ``step`` are undone: they are told again, and differently."""

    def flush(self) -> None:
        """Hand over what is waiting: a checkpoint follows, and the steps before it are not told again."""


class SilentReporter:
    """A reporter that records nothing."""

    run_id: str | None = None

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Ignore ``metrics``."""

    def event(self, kind: str, **fields: Any) -> None:
        """Ignore the event."""

    def go_back(self, step: int) -> None:
        """Nothing was recorded."""

    def flush(self) -> None:
        """Nothing is waiting."""
