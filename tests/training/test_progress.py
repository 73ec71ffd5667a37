"""Where a training is, as a bar or in lines."""

import logging

import pytest

from qwen_pipeline.training import progress as progress_module
from qwen_pipeline.training.progress import TrainingProgress
from qwen_pipeline.training.state import TrainingHistory


@pytest.mark.parametrize(("is_watched", "lines"), [(False, 2), (True, 0)])
def test_where_nobody_looks_a_line_a_minute_says_where_it_is_and_how_long_it_takes(
    is_watched: bool, lines: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    history = TrainingHistory()
    with caplog.at_level(logging.INFO), TrainingProgress(100, is_watched) as progress:
        for _ in range(6):
            history.step, history.seconds, history.tokens = history.step + 1, history.seconds + 25, 60
            history.losses.append(2.0)
            now[0] += 25
            progress.show(history)
    told = [message for message in caplog.messages if message.startswith("Step")]
    assert len(told) == lines
    if told:
        assert told[0] == "Step 3 of 100: loss 2.000, 0.8 tokens/s, 40 min left."
