"""What a training goes on from: its newest checkpoint after an interruption, a safe state after a divergence."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from qwen_pipeline.training.checkpoint import Checkpoints
from qwen_pipeline.training.safe_points import SafePoints, State
from qwen_pipeline.training.snapshot import TrainedParts
from qwen_pipeline.training.state import TrainingHistory
from qwen_pipeline.training.step import Stepper

logger = logging.getLogger(__name__)

ROLLBACK_RATE = 0.5  # the learning rate after a rollback, relative to the one before


@dataclass
class Continuation:
    """Saves a training and puts it back.

    Attributes:
        parts: What its steps change.
        stepper: Takes them, in micro-batches that running out of memory has made smaller.
        checkpoints: Where it is saved.
        cap_gib: Memory that it may take, ``max_memory_gb``; a later part may have another.
        safe_points: States to go back to; a checkpoint holds them too.
        lowered_tokens: Most tokens of a micro-batch since memory ran out; ``None`` where it never did.
        lowered_at_gib: The cap under which it ran out.
    """

    parts: TrainedParts
    stepper: Stepper
    checkpoints: Checkpoints
    cap_gib: float
    safe_points: SafePoints = field(default_factory=SafePoints)
    lowered_tokens: int | None = None
    lowered_at_gib: float | None = None

    def note_step(self, history: TrainingHistory) -> None:
        """Take, trust or drop a safe state after a step that is not undone."""
        in_trouble = self.parts.guard.sees_trouble(history.losses)
        self.safe_points.after_step(history.step, in_trouble, lambda: self.parts.capture(history))

    def state(self, history: TrainingHistory) -> State:
        """All that a checkpoint holds."""
        return {
            **self.parts.capture(history),
            "safe_points": self.safe_points.state_dict(),
            "lowered_tokens": self.lowered_tokens,
            "lowered_at_gib": self.lowered_at_gib,
        }

    def save(self, history: TrainingHistory) -> Path:
        """Write the checkpoint of the last step; returns its folder."""
        return self.checkpoints.save(history.step, self.parts.model, self.state(history))

    def resume(self, fresh: TrainingHistory) -> TrainingHistory:
        """Go on from the newest checkpoint of the same training, if it was interrupted.

        Args:
            fresh: The history of a training that starts at its first step.

        Returns:
            The history to go on with; ``fresh`` where there is no checkpoint.
        """
        self.checkpoints.clear_leftovers()
        found = self.checkpoints.newest()
        if found is None:
            self.safe_points.safe = self.parts.capture(fresh)
            return fresh
        folder, state = found
        history = self.parts.restore(state)
        self.safe_points.load_state_dict(state["safe_points"])
        self._lower_as_before(state["lowered_tokens"], state.get("lowered_at_gib"))
        history.mlflow_run_id = fresh.mlflow_run_id or history.mlflow_run_id
        history.event("resumed", checkpoint=folder.name)
        logger.info("Going on from %s, after %d of %d steps.", folder, history.step, self.parts.guard.steps)
        return history

    def go_back(self, undone: TrainingHistory) -> TrainingHistory:
        """Put back the newest state from well before a divergence, at a lower learning rate.

        Args:
            undone: The history that ended in the divergence.

        Returns:
            The history to go on with.
        """
        restored = self.parts.restore(self.safe_points.go_back())
        restored.follow_rollback(undone, ROLLBACK_RATE)
        self.parts.schedule.apply(restored.rate_factor)
        return restored

    def lower_tokens(self, tokens: int) -> None:
        """Keep micro-batches to ``tokens`` from now on: under this cap more ran out of memory."""
        self.lowered_tokens, self.lowered_at_gib = tokens, self.cap_gib
        self.stepper.max_tokens = min(self.stepper.max_tokens or tokens, tokens)

    def _lower_as_before(self, tokens: int | None, at_gib: float | None) -> None:
        """Take over what an earlier part has learnt, unless it had less memory.

        Args:
            tokens: Its limit, ``None`` where memory never ran out.
            at_gib: The cap under which it ran out; ``None`` in checkpoints that do not tell.
        """
        if tokens is None or (at_gib is not None and self.cap_gib > at_gib):
            return
        self.lower_tokens(tokens)
        self.lowered_at_gib = at_gib
