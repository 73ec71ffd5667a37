"""What a training will take, told before its first step."""

import logging

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.memory.measure import MIB
from qwen_pipeline.text.progress import duration
from qwen_pipeline.training.order import StepOrder

logger = logging.getLogger(__name__)


def tokens_left(order: StepOrder, done: int, lengths: NDArray[np.int32]) -> int:
    """Tokens of the steps after ``done``."""
    return sum(int(lengths[order.rows_of(step)].sum()) for step in range(done + 1, order.steps + 1))


def announce(steps: int, tokens: int, seconds_per_token: float, disk_bytes: int) -> None:
    """Say steps, tokens, time, and what checkpoints take.

    Args:
        steps: Optimiser steps that are left.
        tokens: Tokens of these steps.
        seconds_per_token: As a first micro-batch took.
        disk_bytes: What all checkpoints take together; 0 for none.
    """
    disk = f"; checkpoints take up to {disk_bytes / MIB:.0f} MiB" if disk_bytes else ""
    time = duration(seconds_per_token * tokens)
    logger.info("%s optimiser steps over %s tokens, about %s%s.", f"{steps:,}", f"{tokens:,}", time, disk)
