"""One optimiser step: micro-batches that may run out of memory, one gradient, one update."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from peft import PeftModel
from torch import Tensor

from qwen_pipeline.chat.packing import Row, count_tokens, count_trained_tokens, halves, pack, split_rows
from qwen_pipeline.errors import OutOfMemoryError
from qwen_pipeline.memory.activations import ActivationPolicy, temporary_policy
from qwen_pipeline.memory.recovery import OutOfMemoryEvent, run_or_retry, run_or_split
from qwen_pipeline.memory.transaction import GradientTransaction, OptimizerTransaction, Transaction
from qwen_pipeline.model.dropout import without_dropout
from qwen_pipeline.training.flat_parameters import FlatParameters, flatten_parameters
from qwen_pipeline.training.micro_step import micro_step, score_micro_batch
from qwen_pipeline.training.noise import row_seeds
from qwen_pipeline.training.ranks import fail_together, own_share, seed_step, sum_gradients, sum_over_ranks
from qwen_pipeline.training.state import random_states, restore_random_states

OnEvent = Callable[[OutOfMemoryEvent], None]
MOST_FRUGAL = ActivationPolicy(0, offload=True)
LONG_ENOUGH_SECONDS = 20.0  # of a micro-batch that is timed: what is done once does not show in it
LOWEST_SCALE = 1.0  # an overflow above it says that the loss scale is too high, and nothing of the training


@dataclass
class StepResult:
    """What a step gave.

    Attributes:
        loss: Mean loss of the trained tokens, nats.
        norm: Norm of the gradient before clipping.
        trained_tokens: Labels that were trained.
        tokens: Tokens that went through the model.
        overflowed: The gradient overflowed float16 by the loss scale, which falls; the step is left out.
    """

    loss: float
    norm: float
    trained_tokens: int
    tokens: int
    overflowed: bool = False


@dataclass
class Stepper:
    """Takes optimiser steps.

    Attributes:
        model: The model with adapters.
        optimiser: Updates them.
        device: Where the model is.
        compute_dtype: Dtype of the products.
        scaler: Loss scaling for float16; does nothing otherwise.
        max_grad_norm: Gradients are clipped to it.
        max_rows: Rows of a micro-batch.
        max_tokens: Token budget of a micro-batch, ``None`` for none.
        on_event: Told of each recovery from running out of memory.
        noise_alpha: NEFTune's strength, ``None`` for no noise.
        seed: Of the training, which the noise depends on.
        trained: The adapters' weights.
    """

    model: PeftModel
    optimiser: torch.optim.Optimizer
    device: torch.device
    compute_dtype: torch.dtype
    scaler: torch.amp.GradScaler
    max_grad_norm: float
    max_rows: int
    max_tokens: int | None
    on_event: OnEvent
    noise_alpha: float | None = None
    seed: int = 0
    trained: list[Tensor] = field(init=False)
    _flat: list[FlatParameters] = field(init=False)

    def __post_init__(self) -> None:
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self._flat = flatten_parameters(self.optimiser)
        self._transaction = GradientTransaction(self.trained, self.device)

    def accumulate(self, rows: Sequence[Row], step: int = 0) -> StepResult:
        """Forward and backward of all rows of a step, normalised by the step's trained tokens.

        Args:
            rows: The whole step's; with several processes each takes its share, and all get the same result.
            step: Number of the optimiser step, which the noise depends on.
        """
        trained_tokens = count_trained_tokens(rows)
        seed_step(self.seed, step)
        flat, own_loss = fail_together(
            lambda: self._accumulate_own(own_share(rows), trained_tokens, step), OutOfMemoryError
        )
        sum_gradients(flat)
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(flat, self.max_grad_norm)
        total = sum_over_ranks(own_loss)
        # one wait for the device
        figures = torch.stack([total / max(trained_tokens, 1), norm.float()]).tolist()
        return StepResult(
            figures[0], figures[1], trained_tokens, count_tokens(rows), self._overflows(*figures)
        )

    def _accumulate_own(
        self, rows: Sequence[Row], trained_tokens: int, step: int = 0
    ) -> tuple[list[Tensor], Tensor]:
        """Forward and backward of the rows of this process: the flat weights with their gradients, and the summed loss.

        Args:
            rows: Its share of the step.
            trained_tokens: Of the whole step.
            step: Its number.
        """
        self._forget_gradients()
        losses = [torch.zeros((), device=self.device)]
        for part in split_rows(rows, self.max_rows, self.max_tokens):
            losses += run_or_split(
                part,
                run=lambda piece: self._micro_step(piece, trained_tokens, step),
                split=halves,
                transaction=self._transaction,
                frugal=lambda: temporary_policy(self.model, MOST_FRUGAL),
                size_of=count_tokens,
                on_event=self.on_event,
            )
        flat = run_or_retry(self._gather_gradients, transaction=Transaction(), on_event=self.on_event)
        return flat, torch.stack(losses).sum()

    def _overflows(self, loss: float, norm: float) -> bool:
        """Whether a gradient is not finite because of the loss scale, as far as one can tell."""
        return math.isfinite(loss) and not math.isfinite(norm) and self.scaler.get_scale() > LOWEST_SCALE

    def time_micro_batch(self, rows: Sequence[Row]) -> float:
        """Seconds a token that the first micro-batch of ``rows`` takes in this process; leaves no gradient and no trace.

        Nobody is told of running out of memory: if it does so again, it will be in the step.
        """
        part = next(split_rows(rows, self.max_rows, self.max_tokens))
        on_event = self.on_event
        self.on_event = lambda event: None
        try:
            with self.undone_on_failure():
                states = random_states()
                seconds = self._time(part)
                if seconds < LONG_ENOUGH_SECONDS:  # kernels were built in it, files read, memory taken
                    seconds = self._time(part)
        finally:
            self.on_event = on_event
        restore_random_states(states)
        return seconds / count_tokens(part)

    def _time(self, rows: Sequence[Row]) -> float:
        start = time.perf_counter()
        _, loss = self._accumulate_own(rows, count_trained_tokens(rows))
        loss.item()  # waits for the device
        seconds = time.perf_counter() - start
        self._forget_gradients()
        return seconds

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """Where memory runs out for good inside this block, leave all as before the step.

        Weights and optimiser are kept by their transactions; gradient and random numbers are put back here.
        """
        states = random_states()
        try:
            yield
        except OutOfMemoryError:
            self._forget_gradients()
            restore_random_states(states)
            raise

    def update(self) -> None:
        """Let the optimiser take the accumulated gradient, and forget it."""
        transaction = OptimizerTransaction(self.optimiser)
        run_or_retry(
            lambda: fail_together(lambda: self.scaler.step(self.optimiser), torch.OutOfMemoryError),
            transaction=transaction,
            on_event=self.on_event,
        )
        self.scaler.update()
        self._forget_gradients()

    def discard(self) -> None:
        """Forget the accumulated gradient; a loss scale that was too high falls."""
        self.scaler.update()
        self._forget_gradients()

    def _gather_gradients(self) -> list[Tensor]:
        """The flat weights with their gradients; called again after running out of memory it finds what it found before."""
        return [part.gather_gradients() for part in self._flat]

    def _forget_gradients(self) -> None:
        for part in self._flat:
            part.forget_gradients()

    def _micro_step(self, rows: list[Row], trained_tokens: int, step: int) -> Tensor:
        return micro_step(
            self.model, pack(rows, self.device), row_seeds(self.seed, step, rows), noise_alpha=self.noise_alpha,
            device=self.device, compute_dtype=self.compute_dtype,
            scaled=lambda loss: self.scaler.scale(loss / max(trained_tokens, 1)),
        )  # fmt: skip

    def validate(self, rows: Sequence[Row]) -> float:
        """Mean loss of the trained tokens of ``rows``, without dropout.

        The model stays in train mode, see `without_dropout`.
        """
        with without_dropout(self.model):
            parts = fail_together(lambda: self._validate_own(own_share(rows)), OutOfMemoryError)
        own = [sum(loss for loss, _ in parts), sum(count for _, count in parts)]
        total = sum_over_ranks(torch.tensor(own, dtype=torch.float64, device=self.device))
        return float(total[0]) / max(float(total[1]), 1.0)

    def _validate_own(self, rows: Sequence[Row]) -> list[tuple[float, int]]:
        """Summed loss and trained tokens of each micro-batch of the rows of this process."""
        return [
            result
            for part in split_rows(rows, self.max_rows, self.max_tokens)
            for result in run_or_split(
                part, run=self._score, split=halves, size_of=count_tokens,
                on_event=lambda event: self.on_event(replace(event, work="validation")),
            )
        ]  # fmt: skip

    def _score(self, rows: list[Row]) -> tuple[float, int]:
        scores = score_micro_batch(self.model, pack(rows, self.device), self.device, self.compute_dtype)
        return float(scores.loss.double().sum()), scores.loss.numel()
