"""Figures that outlive the run: written whole after every part, with a share of the time for each."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Part:
    """A part of the benchmark: its figures, and the time that it has.

    Attributes:
        figures: What is known so far; plain data.
    """

    def __init__(self, figures: dict[str, Any], save: Callable[[], None], seconds: float) -> None:
        """Begin the part.

        Args:
            figures: Filled in here, a part of what ``save`` writes.
            save: Writes everything known so far.
            seconds: Time that this part may take.
        """
        self.figures, self._save = figures, save
        self._end = time.perf_counter() + seconds

    def seconds_left(self) -> float:
        """Time until this part should end; negative after that."""
        return self._end - time.perf_counter()

    def note(self, **figures: Any) -> None:
        """Add figures and write them."""
        self.figures.update(figures)
        self._save()

    def attempt(self, name: str, check: Callable[["Part"], None], share: float = 1.0) -> None:
        """Run a part of this part; what it raises becomes its ``error``, and what it found until then stays.

        Args:
            name: The key of its figures.
            check: Takes the inner part and fills in its figures.
            share: The share that it may have of the time that is left.
        """
        start = time.perf_counter()
        inner = Part(self.figures.setdefault(name, {}), self._save, share * max(0.0, self.seconds_left()))
        try:
            check(inner)
        except Exception as error:
            inner.figures["error"] = describe(error)
        inner.note(seconds=round(time.perf_counter() - start, 2))


def describe(error: BaseException) -> str:
    """Kind and first line of an error."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])


def write_whole(figures: dict[str, Any], output: Path | None) -> None:
    """Replace the file by the figures as they are now: whoever looks finds the old or the new, never half of them."""
    if output is None:
        return
    waiting = output.with_name(output.name + ".part")
    waiting.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    os.replace(waiting, output)
