"""Keeps the figures of a training, tells them on, and warns a user of what they show."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.memory.monitor import MemoryMonitor
from qwen_pipeline.memory.recovery import OutOfMemoryEvent
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.guards import LossGuard
from qwen_pipeline.training.state import TrainingHistory
from qwen_pipeline.training.step import StepResult

logger = logging.getLogger(__name__)


@dataclass
class Recorder:
    """Figures and events of a training: into its history, to the tracker, and where they matter to the log.

    Attributes:
        history: What is kept in checkpoints and in the report.
        parameters: ``logging_steps`` and ``enable_memory_monitoring``.
        reporter: The tracker.
        monitor: Memory over time.
        guard: Finds spikes and stalls.
        steps: Optimiser steps of the whole training.
    """

    history: TrainingHistory
    parameters: TrainParameters
    reporter: Reporter
    monitor: MemoryMonitor
    guard: LossGuard
    steps: int

    def step(self, result: StepResult, rate: float) -> None:
        """Keep the figures of the step that was just taken, at learning rate ``rate``."""
        history = self.history
        history.tokens += result.tokens
        history.trained_tokens += result.trained_tokens
        history.losses.append(result.loss)
        history.gradient_norms.append(result.norm)
        history.learning_rates.append(rate)
        if self.guard.is_spike(history.losses):
            history.event("spike", loss=result.loss)
        if advice := self.guard.find_stall(history.losses, rate, self.parameters.learning_rate):
            history.event("stall", advice=advice)
            logger.warning("%s", advice)
        if history.step % self.parameters.logging_steps == 0 or history.step == self.steps:
            self._report(result, rate)

    def left_out(self, rows: Sequence[Row], result: StepResult, scale: float) -> None:
        """A step was left out because its loss or gradient is not finite.

        Args:
            rows: The step's, which are named unless only the loss scale of float16 was too high.
            result: What the step gave.
            scale: The loss scale from now on.
        """
        if result.overflowed:
            self.history.event("loss_scale_lowered", scale=scale)
            logger.info("Step %d overflowed float16; the loss scale falls to %g.", self.history.step, scale)
            return
        names = [str(row["example_id"]) for row in rows]
        self.history.event("skipped_step", loss=str(result.loss), norm=str(result.norm), example_ids=names)
        logger.warning(
            "Step %d was left out: its loss or gradient is not finite. Its rows: %s.",
            self.history.step,
            ", ".join(names),
        )

    def out_of_memory(self, event: OutOfMemoryEvent) -> None:
        """Running out of memory was recovered from."""
        self.history.event("out_of_memory", **asdict(event))
        where = "in the optimiser's step" if event.size is None else f"at {event.size} tokens of {event.work}"
        logger.warning("Out of memory %s: %s, and the run goes on.", where, event.action)

    def rolled_back(self, history: TrainingHistory, diverged_at: int, loss: float) -> None:
        """The training goes on from an earlier state, with ``history``."""
        self.history = history
        history.event("rollback", diverged_at=diverged_at, loss=str(loss), rate_factor=history.rate_factor)
        self.reporter.go_back(history.step)
        logger.warning(
            "The training diverged at step %d; it goes back to step %d at %g of its learning rate.",
            diverged_at,
            history.step,
            history.rate_factor,
        )

    def finished(self) -> None:
        """Look for leaks."""
        self._keep_run_id()
        for leak in self.monitor.leaks():
            self.history.event("memory_leak", message=str(leak))
            logger.warning("%s", leak)

    def ended(self) -> None:
        """Hand the events over, however the training ended; those of its earlier parts are among them."""
        self.reporter.log_events(self.history.events)

    def _report(self, result: StepResult, rate: float) -> None:
        metrics = {
            "loss": result.loss,
            "gradient_norm": result.norm,
            "learning_rate": rate,
            "tokens_per_second": self.history.tokens_per_second,
        }
        if self.parameters.enable_memory_monitoring:
            metrics |= self.monitor.sample(self.history.step).as_metrics()
        self.reporter.log_metrics(metrics, self.history.step)
        self._keep_run_id()

    def _keep_run_id(self) -> None:
        """A store that did not answer at first opens its run later than the training begins."""
        self.history.mlflow_run_id = self.reporter.run_id or self.history.mlflow_run_id
