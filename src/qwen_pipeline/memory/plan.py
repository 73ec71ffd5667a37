"""What a memory plan is asked, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.parts import PlanParts
from qwen_pipeline.memory.trace import StepRecipe

RowLengths = Sequence[int] | NDArray[np.int32]


@dataclass(frozen=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        config: A transformers configuration of the base model.
        recipe: The loop's step.
        row_lengths: Tokens of each training row (all of them, or the longest possible if unknown).
        examples_per_step: Rows of an optimiser step.
        cap: The memory allowed.
        batch_size: Most rows of a micro-batch; None lets the plan choose.
        policy: What layers keep; None lets the plan choose.
        optim: transformers' name of the optimiser.
        on_gpu: Plan for a card, else for this machine's memory.
        host_tokens: Tokens of a micro-batch below which the card waits for the host, see `pace`.
    """

    config: Any
    recipe: StepRecipe
    row_lengths: RowLengths
    examples_per_step: int
    cap: MemoryCap
    batch_size: int | None = None
    policy: ActivationPolicy | None = None
    optim: str = "paged_adamw_8bit"
    on_gpu: bool = True
    host_tokens: float = 0.0

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self._longest_first[0])

    @cached_property
    def _longest_first(self) -> NDArray[np.int64]:
        return np.sort(np.asarray(self.row_lengths))[::-1]

    def most_rows(self, tokens: int) -> int:
        """Rows of a micro-batch of ``tokens`` tokens at most: the shortest ones together."""
        ends = np.cumsum(self._longest_first[::-1], dtype=np.int64)
        fitting = int(np.searchsorted(ends, tokens, side="right"))
        return max(1, min(fitting, self.batch_size or fitting, self.examples_per_step))

    def worst_tokens(self, rows: int) -> int:
        """Tokens of the fullest micro-batch of ``rows`` rows: the longest ones together."""
        return int(self._longest_first[:rows].sum())


@dataclass(frozen=True)
class MemoryPlan:
    """Settings and the memory they take.

    Attributes:
        max_tokens: Token budget of a micro-batch.
        max_rows: Rows it may have.
        policy: What layers keep.
        parts: Memory at the peak.
        cap: The memory allowed.
        relative_time: Time per token by the rule of `planner`, relative to keeping everything in one large batch.
    """

    max_tokens: int
    max_rows: int
    policy: ActivationPolicy
    parts: PlanParts
    cap: MemoryCap
    relative_time: float

    @property
    def needs_gib(self) -> float:
        """What has to fit into ``cap.usable_gib``."""
        return self.parts.reserved / GIB

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.needs_gib <= self.cap.usable_gib
