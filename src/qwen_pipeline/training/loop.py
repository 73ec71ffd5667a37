"""The training loop: steps in order, and around them checkpoints, guards, validation and figures.

From accelerate come device, autocast and process group; micro-batches, accumulation and recovery are this
project's (`step.py`). A training is a function of its rows, seed and settings: killed anywhere, it goes on
from its newest checkpoint to the same adapter.
"""

import logging
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from rich.progress import Progress, TextColumn

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.errors import NoExamplesError, TrainingDivergedError, TrainingInterruptedError
from qwen_pipeline.memory.activations import apply_activation_policy
from qwen_pipeline.memory.measure import MemoryMeter
from qwen_pipeline.memory.monitor import MemoryMonitor
from qwen_pipeline.memory.recovery import OutOfMemoryEvent, release_memory
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.checkpoint import Checkpoints, adapter_weights, load_adapter_weights
from qwen_pipeline.training.device import compute_dtype_for, training_device
from qwen_pipeline.training.fetch import fetch_steps
from qwen_pipeline.training.guards import LossGuard
from qwen_pipeline.training.interrupt import Interrupt
from qwen_pipeline.training.optimisers import build_optimiser, build_scheduler
from qwen_pipeline.training.order import StepOrder
from qwen_pipeline.training.planning import TrainingPlan
from qwen_pipeline.training.report import build_report
from qwen_pipeline.training.state import TrainingHistory, random_states, restore_random_states
from qwen_pipeline.training.step import Stepper, StepResult

logger = logging.getLogger(__name__)

ROLLBACK_RATE = 0.5  # the learning rate after a rollback, relative to the one before


class Trainer:
    """One training, from its first step or from a checkpoint to the end."""

    def __init__(
        self,
        model: PeftModel,
        rows: Sequence[Row],
        validation_rows: Sequence[Row],
        parameters: TrainParameters,
        plan: TrainingPlan,
        reporter: Reporter,
        checkpoint_folder: Path,
    ) -> None:
        """Put everything together; nothing is trained yet.

        Args:
            model: The 4-bit base with trainable adapters.
            rows: ``input_ids``, ``labels`` and ``example_id`` of the training rows.
            validation_rows: The same of the validation rows; may be empty.
            parameters: All settings.
            plan: Micro-batch and activations.
            reporter: Told the figures of the steps.
            checkpoint_folder: Of this training alone, as its fingerprint names it.

        Raises:
            NoExamplesError: There is no training row.
        """
        if not len(rows):
            raise NoExamplesError("There is no training row; see tokenize_rejects and data_report for why.")
        self.model, self.rows, self.validation_rows = model, rows, list(validation_rows)
        self.parameters, self.plan, self.reporter = parameters, plan, reporter
        self.device = training_device()
        compute_dtype = compute_dtype_for(parameters, self.device)
        self.order = StepOrder(
            len(rows),
            parameters.examples_per_step,
            parameters.num_epochs,
            parameters.max_steps,
            parameters.seed,
        )
        self.optimiser = build_optimiser(parameters, [p for p in model.parameters() if p.requires_grad])
        self.scheduler = build_scheduler(parameters, self.optimiser, self.order.steps)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=compute_dtype == torch.float16)
        self.history = TrainingHistory(mlflow_run_id=reporter.run_id)
        self.guard = LossGuard(self.order.steps)
        self.meter = MemoryMeter(self.device)
        self.monitor = MemoryMonitor(self.meter)
        self.checkpoints = Checkpoints(
            checkpoint_folder, total_limit=parameters.save_total_limit, only_model=parameters.save_only_model
        )
        apply_activation_policy(model, plan.policy)
        model.train()
        self.stepper = Stepper(
            model=model, optimiser=self.optimiser, device=self.device, compute_dtype=compute_dtype,
            scaler=self.scaler,
            max_grad_norm=parameters.max_grad_norm, max_rows=plan.max_rows, max_tokens=plan.max_tokens,
            on_event=self._note_memory,
        )  # fmt: skip
        self._safe: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Train to the end.

        Returns:
            The report.

        Raises:
            TrainingInterruptedError: SIGINT or SIGTERM came; a checkpoint is saved.
            TrainingDivergedError: The training diverged more often than ``max_rollbacks`` allows.
            OutOfMemoryError: A single row does not fit, not even in the most frugal way.
        """
        torch.manual_seed(self.parameters.seed)
        self._resume()
        saves = self.parameters.save_strategy != "no"
        if saves:
            needed = self.checkpoints.require_space(self.model)
            logger.info(
                "%d optimiser steps; checkpoints take up to %.0f MiB.", self.order.steps, needed / 2**20
            )
        self.meter.reset_peak()
        self._safe = self._state()
        with Interrupt() as interrupt, _progress() as bar:
            task = bar.add_task("train", total=self.order.steps, completed=self.history.step, loss="")
            while self.history.step < self.order.steps and not self._is_patient_out():
                for rows in self._fetch():
                    self._train_step(rows)
                    bar.update(task, completed=self.history.step, loss=f"loss {self._last_loss():.3f}")
                    if interrupt.asked:
                        self._stop(interrupt.asked)
                    if self._rolled_back or self._is_patient_out():
                        break
        return self._finish()

    def _fetch(self) -> Iterable[list[Row]]:
        self._rolled_back = False
        return fetch_steps(
            self.rows, self.order, self.history.step, self.parameters, self.device.type == "cuda"
        )

    def _train_step(self, rows: list[Row]) -> None:
        start = time.perf_counter()
        result = self.stepper.accumulate(rows)
        self.history.step += 1
        if self.guard.is_finite(result.loss, result.norm):
            self.stepper.update()
        else:
            self._skip(rows, result)
        for group in self.optimiser.param_groups:
            group["lr_used"] = group["lr"]
        self.scheduler.step()
        self._scale_rate()
        self.history.seconds += time.perf_counter() - start
        self._record(result)
        if self.guard.has_diverged(self.history.losses):
            self._roll_back()
            return
        self._validate_and_save()
        if self.parameters.empty_cache_steps and self.history.step % self.parameters.empty_cache_steps == 0:
            release_memory()

    def _skip(self, rows: list[Row], result: StepResult) -> None:
        """Leave out an update whose loss or gradient is not finite, and name its rows."""
        self.stepper.discard()
        names = [str(row["example_id"]) for row in rows]
        self.history.event("skipped_step", loss=str(result.loss), norm=str(result.norm), example_ids=names)
        self.reporter.event("skipped_step", step=self.history.step, example_ids=names)
        logger.warning(
            "Step %d was left out: its loss or gradient is not finite. Its rows: %s.",
            self.history.step,
            ", ".join(names),
        )

    def _scale_rate(self) -> None:
        """Keep the lower rate of a rollback, whatever the scheduler says."""
        if self.history.rate_factor != 1.0:
            for group, rate in zip(self.optimiser.param_groups, self.scheduler.get_last_lr(), strict=True):
                group["lr"] = rate * self.history.rate_factor

    def _record(self, result: StepResult) -> None:
        history, step = self.history, self.history.step
        history.tokens += result.tokens
        history.trained_tokens += result.trained_tokens
        rate = float(self.optimiser.param_groups[0]["lr_used"])
        history.losses.append(result.loss)
        history.gradient_norms.append(result.norm)
        history.learning_rates.append(rate)
        if self.guard.is_spike(history.losses):
            history.event("spike", loss=result.loss)
        if advice := self.guard.find_stall(history.losses, rate):
            history.event("stall", advice=advice)
            logger.warning("%s", advice)
        if step % self.parameters.logging_steps == 0 or step == self.order.steps:
            speed = history.tokens / max(history.seconds, 1e-9)
            metrics = {
                "loss": result.loss,
                "gradient_norm": result.norm,
                "learning_rate": rate,
                "tokens_per_second": speed,
            }
            if self.parameters.enable_memory_monitoring:
                metrics |= self.monitor.sample(step).as_metrics()
            self.reporter.log_metrics(metrics, step)

    def _validate_and_save(self) -> None:
        parameters, step = self.parameters, self.history.step
        at_epoch = self.order.ends_epoch(step)
        validates = {
            "epoch": at_epoch,
            "steps": step % parameters.eval_steps == 0 or step == self.order.steps,
        }
        is_best = False
        if self.validation_rows and validates.get(parameters.eval_strategy, False):
            loss = self.stepper.validate(self.validation_rows)
            self.reporter.log_metrics({"validation_loss": loss}, step)
            if is_best := self.history.note_validation(loss):
                self._safe = self._state()
                if parameters.load_best_model_at_end:
                    self.checkpoints.save_best(self.model)
        saves = {"epoch": at_epoch, "steps": step % parameters.save_steps == 0, "best": is_best}
        if saves.get(parameters.save_strategy, False):
            self.checkpoints.save(step, self.model, self._state())

    def _state(self) -> dict[str, Any]:
        """All that is needed to go on: on the host, independent of what is trained next."""
        return {
            "adapter": adapter_weights(self.model),
            "optimiser": _copied(self.optimiser.state_dict()),
            "scheduler": _copied(self.scheduler.state_dict()),
            "scaler": self.scaler.state_dict(),
            "random": random_states(),
            "history": _copied(self.history.as_dict()),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        load_adapter_weights(self.model, state["adapter"])
        self.optimiser.load_state_dict(_copied(state["optimiser"]))
        self.scheduler.load_state_dict(_copied(state["scheduler"]))
        self.scaler.load_state_dict(state["scaler"])
        restore_random_states(state["random"])

    def _resume(self) -> None:
        """Go on from the newest checkpoint of the same training, if it was interrupted."""
        self.checkpoints.clear_leftovers()
        found = self.checkpoints.newest()
        if found is None:
            return
        folder, state = found
        self._restore(state)
        run_id = self.history.mlflow_run_id
        self.history = TrainingHistory.from_dict(state["history"])
        self.history.mlflow_run_id = run_id or self.history.mlflow_run_id
        self.history.event("resumed", checkpoint=folder.name)
        logger.info("Going on from %s, after %d of %d steps.", folder, self.history.step, self.order.steps)

    def _roll_back(self) -> None:
        """Go back to the last good state at a lower learning rate, within limits."""
        history = self.history
        if history.rollbacks >= self.parameters.max_rollbacks:
            raise TrainingDivergedError(
                f"The training diverged at step {history.step} (loss {history.losses[-1]:.3g}) after "
                f"{history.rollbacks} rollbacks; lower learning_rate={self.parameters.learning_rate:g} or "
                f"max_grad_norm={self.parameters.max_grad_norm:g}, and look at the rows of the skipped steps."
            )
        at, loss = history.step, history.losses[-1]
        self._restore(self._safe)
        self.checkpoints.drop_after(self._safe["history"]["step"])
        restored = TrainingHistory.from_dict(_copied(self._safe["history"]))
        restored.events = history.events
        restored.rollbacks, restored.rate_factor = history.rollbacks + 1, history.rate_factor * ROLLBACK_RATE
        self.history = restored
        self._scale_rate()
        self.guard.nonfinite_in_a_row = 0
        self._rolled_back = True
        restored.event("rollback", diverged_at=at, loss=str(loss), rate_factor=restored.rate_factor)
        self.reporter.event("rollback", step=restored.step, diverged_at=at)
        logger.warning(
            "The training diverged at step %d; it goes back to step %d at %g of its learning rate.",
            at,
            restored.step,
            restored.rate_factor,
        )

    def _note_memory(self, event: OutOfMemoryEvent) -> None:
        """Keep a recovery, and plan smaller micro-batches from now on."""
        self.history.event("out_of_memory", **asdict(event))
        self.reporter.event("out_of_memory", step=self.history.step, **asdict(event))
        logger.warning("Out of memory at %s tokens: %s, and the step goes on.", event.size, event.action)
        if event.action == "split" and event.size:
            half = -(-event.size // 2)
            self.stepper.max_tokens = min(self.stepper.max_tokens or half, half)

    def _last_loss(self) -> float:
        return self.history.losses[-1] if self.history.losses else float("nan")

    def _is_patient_out(self) -> bool:
        patience = self.parameters.early_stopping_patience
        return patience is not None and self.history.validations_without_gain >= patience

    def _stop(self, signal_name: str) -> None:
        path = self.checkpoints.save(self.history.step, self.model, self._state())
        raise TrainingInterruptedError(
            f"Stopped by {signal_name} after step {self.history.step} of {self.order.steps}; {path.name} is saved. "
            "Run the same command again to go on from there."
        )

    def _finish(self) -> dict[str, Any]:
        if self.parameters.load_best_model_at_end and self.checkpoints.load_best(self.model):
            self.history.event("best_model_loaded", best_step=self.history.best_step)
        if self._is_patient_out():
            self.history.event("early_stop")
        for leak in self.monitor.leaks():
            self.history.event("memory_leak", message=str(leak))
            logger.warning("%s", leak)
        self.checkpoints.finish()
        return build_report(
            self.history, self.parameters, self.plan, self.order, self.meter.read(), self.monitor.history()
        )


def _progress() -> Progress:
    """A bar with time left and loss; none where nobody looks."""
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[loss]}"))
    return Progress(*columns, disable=not sys.stderr.isatty(), transient=True)


def _copied(value: Any) -> Any:
    """A deep copy with tensors on the host."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
