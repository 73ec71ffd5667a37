"""A store that fails takes little of a training's time, and what waits for it is bounded."""

from collections.abc import Callable

import pytest

from qwen_pipeline.tracking import delivery
from qwen_pipeline.tracking.delivery import LAST_PATIENCE_SECONDS, PAUSE_FACTOR, Delivery


class Clock:
    """Time that passes only where something takes it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(delivery, "time", clock)
    return clock


def gone(clock: Clock, calls: list[str], name: str, seconds: float) -> Callable[[], None]:
    """A call to a store that does not answer until the client gives up."""

    def call() -> None:
        calls.append(name)
        clock.now += seconds
        raise TimeoutError("no answer")

    return call


def test_a_store_that_is_gone_takes_a_twentieth_of_the_time(clock: Clock) -> None:
    waiting, calls = Delivery(), list[str]()
    waiting.ask("log metrics", gone(clock, calls, "metrics", 20.0))
    start = clock.now
    for _ in range(1000):
        clock.now += 2.0
        waiting.go_on()
    assert 20.0 * (len(calls) - 1) / (clock.now - start) <= 1 / PAUSE_FACTOR


def test_one_call_that_always_fails_blocks_no_other(clock: Clock) -> None:
    waiting, calls = Delivery(), list[str]()
    waiting.ask("log parameters", gone(clock, calls, "parameters", 0.0))
    waiting.ask("log metrics", lambda: calls.append("metrics"))
    waiting.go_on()
    assert "metrics" in calls
    assert waiting.left() == ["log parameters"]


def test_a_call_takes_the_place_of_the_one_that_waits_under_its_name(clock: Clock) -> None:
    waiting, calls = Delivery(), list[str]()
    for number in range(1000):
        waiting.ask("log events.json", gone(clock, calls, str(number), 1.0))
    assert waiting.left() == ["log events.json"]


def test_the_end_comes_soon_and_the_run_is_closed_first(clock: Clock) -> None:
    waiting, calls = Delivery(), list[str]()
    for number in range(10):
        waiting.ask(f"log {number}", gone(clock, calls, "log", 20.0))
    calls.clear()
    start = clock.now
    waiting.finish("close the run", gone(clock, calls, "close", 20.0))
    assert calls == ["close"]
    assert clock.now - start < LAST_PATIENCE_SECONDS + 20.0
