"""States to go back to when a training diverges: taken now and then, trusted only when calm steps have followed.

A step can break the weights before any loss shows it, so a state taken just before the trouble is no good. When they
are taken depends on steps and losses alone, not on how often checkpoints are saved, and checkpoints hold them: a
rollback ends in the same place however often a training was saved, stopped and gone on with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STEPS_BETWEEN = 20
CALM_STEPS = 10  # that must follow on a state before it is trusted

State = dict[str, Any]


@dataclass
class SafePoints:
    """The newest trusted state of a training, and one that waits to be trusted.

    Attributes:
        safe: As `TrainedParts.capture` gives it; at first that of step 0.
        candidate: A later one, until calm steps have followed on it.
    """

    safe: State = field(default_factory=dict)
    candidate: State | None = None

    def after_step(self, step: int, in_trouble: bool, capture: Callable[[], State]) -> None:
        """Take, trust or drop a state.

        Args:
            step: The one that has just been taken.
            in_trouble: The guard saw a sign of trouble in it.
            capture: Gives the training's state.
        """
        if in_trouble:
            self.candidate = None
            return
        if self.candidate is not None and step >= _step_of(self.candidate) + CALM_STEPS:
            self.safe, self.candidate = self.candidate, None
        if self.candidate is None and step >= _step_of(self.safe) + STEPS_BETWEEN:
            self.candidate = capture()

    def go_back(self) -> State:
        """The state to go on from after a divergence."""
        self.candidate = None
        return self.safe

    def state_dict(self) -> State:
        """Both states; not copied, as nothing changes them."""
        return {"safe": self.safe, "candidate": self.candidate}

    def load_state_dict(self, state: State) -> None:
        """Put both back."""
        self.safe, self.candidate = state["safe"], state["candidate"]


def _step_of(state: State) -> int:
    return int(state["history"]["step"])
