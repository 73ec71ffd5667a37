"""What is to reach a store that may not answer: it waits, is tried again, and never holds up a training.

A try takes as long as the store lets it, up to the client's time limit. After one that failed nothing is tried for
`PAUSE_FACTOR` times as long, so that a store that is gone costs a training a twentieth of its time at most, while a
passing error is made good at once.
"""

import logging
import time
from collections.abc import Callable

from qwen_pipeline.tracking.store import tracking_uri

logger = logging.getLogger(__name__)

PAUSE_FACTOR = 20
LAST_ROUNDS = 3
LAST_PAUSE_SECONDS = 1.0
LAST_PATIENCE_SECONDS = 5.0  # of failures, before a finished training stops trying

Call = Callable[[], None]


class Delivery:
    """Calls to a store by what they do; a call takes the place of one that waits under the same name.

    What waits is bounded by that: a training has a dozen names. Nothing here raises what a store raises.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Call] = {}
        self._resting_until = 0.0
        self._is_failing = False

    def ask(self, what: str, call: Call) -> None:
        """Make a call, now if the store answers and otherwise when it does.

        Args:
            what: What it does, in words that follow on "MLflow could not".
            call: Does it; called again after a failure, so that what it has done already must not harm.
        """
        self._waiting[what] = call
        self.go_on()

    def go_on(self) -> None:
        """Try what waits, oldest first, up to the first failure; that one goes to the end, to block no other."""
        if time.monotonic() >= self._resting_until:
            self._round(patience=0.0)

    def finish(self, what: str, call: Call) -> None:
        """The last tries: first of this call, then of all that waits, some rounds long or until patience is out."""
        self._waiting = {what: call, **self._waiting}
        left = LAST_PATIENCE_SECONDS
        for number in range(LAST_ROUNDS):
            if number:
                time.sleep(LAST_PAUSE_SECONDS)
            left -= self._round(left)
            if not self._waiting or left <= 0:
                return

    def left(self) -> list[str]:
        """What still waits."""
        return list(self._waiting)

    def _round(self, patience: float) -> float:
        """Try each call once, until failures have taken ``patience`` seconds; returns the seconds they took."""
        lost = 0.0
        for what in list(self._waiting):
            begun = time.monotonic()
            if self._try(what):
                continue
            taken = time.monotonic() - begun
            lost += taken
            self._resting_until = time.monotonic() + PAUSE_FACTOR * taken
            if lost >= patience:
                break
        if self._is_failing and not self._waiting:
            self._is_failing = False
            logger.info("MLflow answers again, and has what was waiting.")
        return lost

    def _try(self, what: str) -> bool:
        call = self._waiting.pop(what)
        try:
            call()
        except Exception as error:  # whatever a store raises, training goes on
            self._waiting[what] = call
            self._tell(what, error)
            return False
        return True

    def _tell(self, what: str, error: Exception) -> None:
        """One line when the trouble begins; the next comes after it has ended."""
        if self._is_failing:
            return
        self._is_failing = True
        logger.warning(
            "MLflow could not %s at %s (%s); training goes on, this is tried again, and train_report keeps the "
            "figures. Check MLFLOW_TRACKING_URI.",
            what,
            tracking_uri(),
            one_line(error),
        )


def one_line(error: Exception) -> str:
    """The beginning of what a store complains of, without its line breaks."""
    return " ".join(str(error).split())[:200]
