"""Why a node runs, in words."""

import pytest

from qwen_pipeline.incremental.reasons import Change, in_words


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, ""),
        (1, "it"),
        (2, "it (and 1 more change)"),
        (3, "it (and 2 more changes)"),
        (12, "it (and 11 more changes)"),
    ],
)
def test_the_first_change_is_told_and_how_many_more_there_are(count: int, told: str) -> None:
    assert in_words([Change("code", "module", "it")] * count) == told
