"""SIGINT and SIGTERM: the step in progress is finished and saved before the run ends."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Notes a request to stop; a second one stops at once.

    Attributes:
        asked: The signal's name, ``None`` while nobody asked.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class PassedOn(Interrupt):
    """In one of several processes, which hear no signals: the request as the run passes it on to all of them."""

    asked: str | None = None

    def __init__(self) -> None:
        """Nothing is watched here; who hears the request sets the class's ``asked``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def leave_signals_to_the_run() -> None:
    """A signal to the whole group (Ctrl-C, a batch system) ends no process that works for a run: the run hears it and ends them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
