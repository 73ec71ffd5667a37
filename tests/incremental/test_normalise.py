"""What of a source text counts for a fingerprint."""

import pytest

from qwen_pipeline.incremental.code import parse

PLAIN = "def f(x):\n    return x\n"


def digest(source: str) -> str:
    return parse(source, "p.m").digest


@pytest.mark.parametrize(
    "source",
    [
        f"import logging\nlogger = logging.getLogger(__name__)\n{PLAIN}",
        f"import logging\nlog = logging.getLogger('a.b')\n{PLAIN}",
        "def f(x):\n    logger.info('x')\n    return x\n",
    ],
)
def test_logging_does_not_count(source: str) -> None:
    assert digest(source) == digest(PLAIN)


@pytest.mark.parametrize("name", ["log", "logger", "logging", "_logger", "total"])
def test_a_figure_counts_whatever_its_name(name: str) -> None:
    source = "def f(x):\n    {0} = x * {1}\n    return {0}\n"
    assert digest(source.format(name, 2)) != digest(source.format(name, 3))
