"""All that changes while a training runs, captured and put back as a whole."""

from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel

from qwen_pipeline.training.checkpoint import adapter_weights, load_adapter_weights
from qwen_pipeline.training.guards import LossGuard
from qwen_pipeline.training.schedule import RateSchedule
from qwen_pipeline.training.state import TrainingHistory, random_states, restore_random_states


@dataclass(frozen=True)
class TrainedParts:
    """What a step changes, beside the history.

    Attributes:
        model: Its adapters.
        optimiser: Its moments.
        schedule: Its place.
        scaler: Its loss scale.
        guard: What it has counted.
    """

    model: PeftModel
    optimiser: torch.optim.Optimizer
    schedule: RateSchedule
    scaler: torch.amp.GradScaler
    guard: LossGuard

    def capture(self, history: TrainingHistory) -> dict[str, Any]:
        """All that is needed to go on: on the host, independent of what is trained next."""
        return {
            "adapter": adapter_weights(self.model),
            "optimiser": copy_to_host(self.optimiser.state_dict()),
            "scheduler": copy_to_host(self.schedule.state_dict()),
            "scaler": self.scaler.state_dict(),
            "guard": self.guard.state_dict(),
            "random": random_states(),
            "history": copy_to_host(history.as_dict()),
        }

    def restore(self, state: dict[str, Any]) -> TrainingHistory:
        """Put everything back, so that the next step is the one that came after `capture`.

        Returns:
            The history of then; changing it does not change ``state``.
        """
        load_adapter_weights(self.model, state["adapter"])
        self.optimiser.load_state_dict(copy_to_host(state["optimiser"]))
        self.schedule.load_state_dict(copy_to_host(state["scheduler"]))
        self.scaler.load_state_dict(state["scaler"])
        self.guard.load_state_dict(state["guard"])
        restore_random_states(state["random"])
        history = TrainingHistory.from_dict(copy_to_host(state["history"]))
        self.schedule.apply(history.rate_factor)
        return history


def copy_to_host(value: Any) -> Any:
    """A deep copy with tensors on the host."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copy_to_host(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copy_to_host(item) for item in value)
    return value
