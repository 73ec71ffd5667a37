"""All weights of an optimiser's group end to end in one tensor, so that a step is one call and not one for each of 504 adapters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """Weights that lie in one tensor; the model sees its own, which are views of it.

    Attributes:
        flat: All weights, ``[elements]``; what the optimiser steps.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        """Move the weights into one tensor.

        Args:
            weights: Leaves of one dtype on one device; they keep their identity and their values.
        """
        self._weights = list(weights)
        self._sizes = [weight.numel() for weight in self._weights]
        self.flat = nn.Parameter(torch.cat([weight.detach().reshape(-1) for weight in self._weights]))
        for weight, part in zip(self._weights, torch.split(self.flat.detach(), self._sizes), strict=True):
            weight.data = part.view_as(weight)

    def gather_gradients(self) -> Tensor:
        """Give the flat weights the gradient of all of them, of which each weight's own becomes a view; one without counts as zero.

        Returns:
            The flat weights.
        """
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in self._weights]
        self.flat.grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
        for weight, part in zip(self._weights, torch.split(self.flat.grad, self._sizes), strict=True):
            weight.grad = part.view_as(weight)
        return self.flat

    def forget_gradients(self) -> None:
        """Leave no gradient, neither flat nor of the weights."""
        self.flat.grad = None
        for weight in self._weights:
            weight.grad = None


def flatten_parameters(optimiser: torch.optim.Optimizer) -> list[FlatParameters]:
    """Let an optimiser that has not stepped yet step the flat weights of each of its groups."""
    filled = [group for group in optimiser.param_groups if group["params"]]
    flat = [FlatParameters(group["params"]) for group in filled]
    for group, part in zip(filled, flat, strict=True):
        group["params"] = [part.flat]
    return flat
