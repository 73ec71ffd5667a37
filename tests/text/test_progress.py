"""A line now and then about long work."""

import logging

import pytest

from qwen_pipeline.text import progress


def test_long_work_says_how_far_it_is_and_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO):
        assert list(progress.with_progress("abcd", 4, "Tokenizing")) == list("abcd")
    assert caplog.messages == ["Tokenizing: 50 % done, about 20 s left"]


def test_short_work_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(progress.with_progress([1, 2], 2, "Cleaning")) == [1, 2]
    assert not caplog.messages


def test_durations_read_as_a_person_says_them() -> None:
    assert [progress.duration(s) for s in (4.2, 89, 90, 3600, 12_000)] == [
        "4 s",
        "89 s",
        "2 min",
        "60 min",
        "3 h 20 min",
    ]
