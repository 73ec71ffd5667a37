"""A line now and then about work that takes minutes, and none about work that takes seconds."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Result = TypeVar("_Result")
_LOGGER = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 15.0


def with_progress(results: Iterable[_Result], total: int, doing: str) -> Iterator[_Result]:
    """Pass results on, and log how far they are and about how long the rest takes.

    Args:
        results: Of about equal work each.
        total: How many there will be.
        doing: What the line begins with, such as ``Tokenizing``.
    """
    started = said = time.monotonic()
    for done, result in enumerate(results, start=1):
        yield result
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES and done < total:
            said = now
            left = (now - started) * (total - done) / done
            _LOGGER.info("%s: %.0f %% done, about %s left", doing, 100 * done / total, duration(left))


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
