"""The training loop, on accelerate's device, autocast and loss scaling."""

import logging
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel
from rich.progress import Progress
from torch import Tensor
from transformers import get_scheduler

from qwen_pipeline.memory.chunked_loss import linear_cross_entropy
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.batches import PackedBatch, optimiser_steps, pack, split_rows, step_rows
from qwen_pipeline.training.optimisers import build_optimiser

logger = logging.getLogger(__name__)
Rows = Sequence[Mapping[str, Any]]


@dataclass
class TrainingHistory:
    """What a training has done so far."""

    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0


def packed_loss(model: PeftModel, batch: PackedBatch) -> Tensor:
    """Summed loss of the trained tokens of one packed micro-batch; the logits never exist as a whole."""
    backbone = model.base_model.model.model
    hidden = backbone(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.mask,
        use_cache=False,
    ).last_hidden_state[0]
    return linear_cross_entropy(hidden, model.get_output_embeddings().weight, batch.targets)


@torch.no_grad()
def mean_loss(model: PeftModel, rows: Rows, batch_size: int, device: torch.device) -> float:
    """Token-weighted loss over rows, in train mode with the caller's dropout switched off."""
    total, tokens = 0.0, 0
    for numbers in split_rows(range(len(rows)), batch_size):
        batch = pack([rows[number] for number in numbers], device)
        total += float(packed_loss(model, batch))
        tokens += int((batch.targets >= 0).sum())
    return total / max(tokens, 1)


def train(
    model: PeftModel, rows: Rows, validation_rows: Rows, parameters: TrainParameters, reporter: Reporter
) -> dict[str, Any]:
    """Train the adapters.

    Args:
        model: The 4-bit base with trainable adapters.
        rows: ``input_ids``, ``labels`` and ``example_id``.
        validation_rows: The same, for the validation loss of each epoch; may be empty.
        parameters: All settings.
        reporter: Told the figures of every step.

    Returns:
        The report: losses, rates, norms, tokens per second, memory, events.
    """
    precision = "bf16" if parameters.bf16 else "no"
    accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())
    rows = [dict(row) for row in rows]
    validation_rows = [dict(row) for row in validation_rows]
    per_step = parameters.batch_size * parameters.gradient_accumulation_steps
    steps = optimiser_steps(len(rows), per_step, parameters.num_epochs)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = build_optimiser(
        parameters.optim,
        trained,
        learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
    )
    scheduler = get_scheduler(
        parameters.lr_scheduler_type, optimiser, num_warmup_steps=int(steps * parameters.warmup_ratio),
        num_training_steps=steps, scheduler_specific_kwargs=parameters.lr_scheduler_kwargs or None,
    )  # fmt: skip
    model.train()
    done = TrainingHistory()
    start = time.perf_counter()
    every_epoch = max(1, steps // max(1, round(parameters.num_epochs)))
    with Progress(disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("train", total=steps)
        for step, numbers in enumerate(step_rows(len(rows), per_step, steps, parameters.seed), start=1):
            batches = [
                pack([rows[n] for n in part], accelerator.device)
                for part in split_rows(numbers, parameters.batch_size)
            ]
            loss, norm = _step(
                model, batches, trained, optimiser, accelerator, parameters.max_grad_norm, done
            )
            rate = optimiser.param_groups[0]["lr"]
            scheduler.step()
            _record(done, reporter, step, loss, norm, rate)
            if validation_rows and (step % every_epoch == 0 or step == steps):
                with accelerator.autocast():
                    validation = mean_loss(model, validation_rows, parameters.batch_size, accelerator.device)
                done.validation_losses.append(validation)
                reporter.log_metrics({"validation_loss": validation}, step)
            bar.update(task, completed=step)
    seconds = time.perf_counter() - start
    return _report(done, steps, seconds, reporter)


def _step(
    model: PeftModel,
    batches: Sequence[PackedBatch],
    trained: Sequence[Tensor],
    optimiser: torch.optim.Optimizer,
    accelerator: Accelerator,
    max_grad_norm: float,
    done: TrainingHistory,
) -> tuple[float, float]:
    """One optimiser step, normalised by the trained tokens of all its micro-batches."""
    tokens = sum(int((batch.targets >= 0).sum()) for batch in batches)
    total = 0.0
    for batch in batches:
        with accelerator.autocast():
            loss = packed_loss(model, batch)
        (loss / tokens).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
        done.tokens += batch.input_ids.numel()
    norm = float(torch.nn.utils.clip_grad_norm_(trained, max_grad_norm))
    if norm == norm and norm != float("inf"):
        optimiser.step()
    else:
        rows = [example for batch in batches for example in batch.example_ids]
        done.events.append({"kind": "skipped_step", "gradient_norm": str(norm), "example_ids": rows})
        logger.warning("A step was skipped: its gradient is not finite. Rows: %s", ", ".join(rows))
    optimiser.zero_grad(set_to_none=True)
    return total / tokens, norm


def _record(
    done: TrainingHistory, reporter: Reporter, step: int, loss: float, norm: float, rate: float
) -> None:
    done.losses.append(loss)
    done.gradient_norms.append(norm)
    done.learning_rates.append(rate)
    reporter.log_metrics({"loss": loss, "gradient_norm": norm, "learning_rate": rate}, step)


def _report(done: TrainingHistory, steps: int, seconds: float, reporter: Reporter) -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    report: dict[str, Any] = {
        "steps": steps,
        "losses": done.losses,
        "learning_rates": done.learning_rates,
        "gradient_norms": done.gradient_norms,
        "validation_losses": done.validation_losses,
        "tokens": done.tokens,
        "tokens_per_second": done.tokens / seconds,
        "seconds": seconds,
        "memory": {
            "peak_gpu_gib": peak,
            "peak_host_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        },
        "events": done.events,
        "mlflow_run_id": reporter.run_id,
    }
    reporter.log_metrics({"tokens_per_second": report["tokens_per_second"]}, steps)
    return report
