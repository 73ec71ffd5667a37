"""What a training has done so far, and what it needs to go on as if nothing had happened."""

import math
import random
import time
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Self

import torch


@dataclass
class TrainingHistory:
    """Figures and events of a training; lists have one entry a recorded step."""

    step: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float | None = None
    best_step: int | None = None
    validations_without_gain: int = 0
    rollbacks: int = 0
    rate_factor: float = 1.0
    mlflow_run_id: str | None = None
    rolled_back_ms: int | None = None  # since 1970: what was told before it of later steps is undone

    @property
    def tokens_per_second(self) -> float:
        """Tokens that went through the model, by the time spent in steps."""
        return self.tokens / max(self.seconds, 1e-9)

    @property
    def has_learnt(self) -> bool:
        """Whether any step had a finite loss; while none had, the adapters are as they began."""
        return any(map(math.isfinite, self.losses))

    def event(self, kind: str, **fields: Any) -> None:
        """Keep something that happened at the present step."""
        self.events.append({"kind": kind, "step": self.step, **fields})

    def note_validation(self, loss: float) -> bool:
        """Keep a validation loss; whether it is the lowest so far. One that is not finite never is."""
        self.validation.append({"step": self.step, "loss": loss})
        best = math.inf if self.best_loss is None or math.isnan(self.best_loss) else self.best_loss
        is_best = math.isfinite(loss) and loss < best
        if is_best:
            self.best_loss, self.best_step, self.validations_without_gain = loss, self.step, 0
        else:
            self.validations_without_gain += 1
        return is_best

    def follow_rollback(self, undone: Self, rate: float) -> None:
        """Take over what a rollback does not undo.

        Args:
            undone: The history that ended in a divergence. The best adapter is kept whenever it was found.
            rate: The learning rate from now on, relative to the one that diverged.
        """
        self.events, self.best_loss, self.best_step = undone.events, undone.best_loss, undone.best_step
        self.mlflow_run_id = undone.mlflow_run_id  # the state may be older than the run that is open
        self.rollbacks, self.rate_factor = undone.rollbacks + 1, undone.rate_factor * rate
        self.rolled_back_ms = int(time.time() * 1000)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Back from plain data."""
        return cls(**data)


def seed_of(*parts: object) -> int:
    """A seed that depends on these parts alone, and on no generator."""
    name = " ".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest())


def random_states() -> dict[str, Any]:
    """States of all generators that a training draws from."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the generators back: of a machine with more cards than this one those of its first, where the training runs."""
    torch.set_rng_state(states["torch"])
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    torch.cuda.set_rng_state_all(states["cuda"][:cards])
    random.setstate(states["python"])
