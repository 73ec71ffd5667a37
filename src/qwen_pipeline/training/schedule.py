"""The learning rate over a training: a scheduler of transformers, times what rollbacks have taken off."""

import logging
import math
import warnings
from typing import Any

import torch
from transformers import get_scheduler

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.schedulers import VALIDATION_SCHEDULERS
from qwen_pipeline.params.train import TrainParameters

logger = logging.getLogger(__name__)


class RateSchedule:
    """Sets the optimiser's learning rates, after each step or after each validation."""

    def __init__(self, parameters: TrainParameters, optimiser: torch.optim.Optimizer, steps: int) -> None:
        """Make the scheduler that ``lr_scheduler_type`` names.

        Args:
            parameters: ``lr_scheduler_*`` and ``warmup_*``.
            optimiser: What it drives.
            steps: Optimiser steps of the training.

        Raises:
            ParameterError: ``lr_scheduler_kwargs`` has an option that this scheduler does not take.
        """
        self._optimiser = optimiser
        self._follows_validation = parameters.lr_scheduler_type in VALIDATION_SCHEDULERS
        self._scheduler = _build(parameters, optimiser, steps)
        if steps == 1 and not any(group["lr"] for group in optimiser.param_groups):
            logger.warning(
                "The only step of this training warms up, at a learning rate of 0: it changes no weight. Set "
                "warmup_ratio=0 and warmup_steps=0, or train for more steps (num_epochs, max_steps)."
            )

    def after_step(self, factor: float) -> None:
        """Move on by one step, taken or left out; ``factor`` is what rollbacks leave of the rate.

        Source: torch 2.13 takes a first step that was left out (float16 that overflows) for a mistake of the
        caller's, and warns on the terminal. Can go when it asks whether the optimiser was skipped.
        """
        if not self._follows_validation:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step")
                self._scheduler.step()
            self.apply(factor)

    def after_validation(self, loss: float, factor: float) -> None:
        """Let a scheduler that follows the validation loss see it."""
        if self._follows_validation:
            self.apply(1.0)  # it changes the rate that it finds
            self._scheduler.step(loss)
            self.apply(factor)

    def apply(self, factor: float) -> None:
        """Set the rates to the scheduler's times ``factor``."""
        rates = self._scheduler.get_last_lr()
        for group, rate in zip(self._optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's place."""
        state: dict[str, Any] = self._scheduler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the scheduler back; `apply` then sets the rates."""
        self._scheduler.load_state_dict(state)


def _build(parameters: TrainParameters, optimiser: torch.optim.Optimizer, steps: int) -> Any:
    # Up, as in transformers; rounded first, because 100 steps times 0.07 are 7.000000000000001 in floating point.
    warmup = parameters.warmup_steps or math.ceil(round(steps * parameters.warmup_ratio, 6))
    try:
        return get_scheduler(
            parameters.lr_scheduler_type,
            optimiser,
            num_warmup_steps=warmup,
            num_training_steps=max(steps, warmup + 1),  # a polynomial with no step to fall in divides by zero
            scheduler_specific_kwargs=parameters.lr_scheduler_kwargs or None,
        )
    except (TypeError, ValueError) as failure:
        raise ParameterError(
            f"lr_scheduler_kwargs={parameters.lr_scheduler_kwargs} does not suit "
            f"lr_scheduler_type={parameters.lr_scheduler_type}: {failure}."
        ) from failure
