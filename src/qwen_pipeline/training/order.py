"""Which rows an optimiser step trains on: a function of seed and step, so that a resumed run needs no memory."""

import math

import torch


class StepOrder:
    """The rows of every optimiser step.

    Each epoch is a new permutation; the last step of an epoch takes what is left.

    Attributes:
        steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of one pass.
    """

    def __init__(self, rows: int, per_step: int, epochs: float, max_steps: int | None, seed: int) -> None:
        self.steps_per_epoch = math.ceil(rows / per_step)
        # Rounded, because 30 steps times 1.1 epochs are 33.000000000000004 in floating point.
        steps = max(1, math.ceil(round(self.steps_per_epoch * epochs, 6)))
        self.steps = min(steps, max_steps) if max_steps else steps
        self._rows, self._per_step, self._seed = rows, per_step, seed
        self._permutation = (-1, torch.empty(0, dtype=torch.int64))

    def rows_of(self, step: int) -> list[int]:
        """Row numbers of optimiser step ``step``, counted from 1."""
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        if self._permutation[0] != epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._permutation = (epoch, torch.randperm(self._rows, generator=generator))
        start = place * self._per_step
        rows: list[int] = self._permutation[1][start : start + self._per_step].tolist()
        return rows

    def ends_epoch(self, step: int) -> bool:
        """Whether ``step`` is the last of an epoch or of the training."""
        return step % self.steps_per_epoch == 0 or step == self.steps
