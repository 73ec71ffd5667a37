"""The training loop: steps in order, and around them checkpoints, guards, validation and figures.

Micro-batches, accumulation and recovery are this project's (`step.py`); device and process group come from
accelerate. A training is a function of its rows, seed and settings: killed anywhere, it goes on from its newest
checkpoint to the same adapter.
"""

import logging
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.errors import OutOfMemoryError
from qwen_pipeline.memory.activations import apply_activation_policy
from qwen_pipeline.memory.measure import MemoryMeter
from qwen_pipeline.memory.monitor import MemoryMonitor
from qwen_pipeline.memory.recovery import OutOfMemoryEvent, release_memory
from qwen_pipeline.model.device import compute_device
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.cadence import Cadence
from qwen_pipeline.training.checkpoint import Checkpoints, FollowedCheckpoints
from qwen_pipeline.training.continuation import Continuation
from qwen_pipeline.training.endings import diverged, interrupted, out_of_memory
from qwen_pipeline.training.fetch import fetch_steps, require_rows, row_lengths, select_columns
from qwen_pipeline.training.forecast import announce, tokens_left
from qwen_pipeline.training.guards import LossGuard
from qwen_pipeline.training.interrupt import Interrupt, PassedOn
from qwen_pipeline.training.optimisers import build_optimiser
from qwen_pipeline.training.order import StepOrder
from qwen_pipeline.training.planning import TrainingPlan
from qwen_pipeline.training.precision import compute_dtype_for
from qwen_pipeline.training.progress import TrainingProgress
from qwen_pipeline.training.ranks import any_of_all, is_first, of_all, several
from qwen_pipeline.training.recorder import Recorder
from qwen_pipeline.training.report import build_report, memory_report, process_report
from qwen_pipeline.training.schedule import RateSchedule
from qwen_pipeline.training.snapshot import TrainedParts
from qwen_pipeline.training.state import TrainingHistory
from qwen_pipeline.training.step import Stepper

logger = logging.getLogger(__name__)


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
            NoExamplesError: There is no training row, or no validation row for a scheduler that needs them.
        """
        require_rows(rows, validation_rows, parameters)
        self.model, self.rows, self.validation_rows = model, rows, select_columns(validation_rows)
        self.parameters, self.plan, self.reporter = parameters, plan, reporter
        self.device = compute_device()
        self.compute_dtype = compute_dtype_for(parameters, self.device)
        self.order = StepOrder(
            len(rows), parameters.examples_per_step, parameters.num_epochs, parameters.max_steps, parameters.seed,
        )  # fmt: skip
        self.cadence = Cadence(parameters, self.order, has_validation=len(validation_rows) > 0)
        optimiser = build_optimiser(parameters, model)
        schedule = RateSchedule(parameters, optimiser, self.order.steps)
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.compute_dtype == torch.float16)
        self.guard = LossGuard(self.order.steps)
        self.parts = TrainedParts(model, optimiser, schedule, scaler, self.guard)
        self.meter = MemoryMeter(self.device)
        self.recorder = Recorder(
            TrainingHistory(mlflow_run_id=reporter.run_id), parameters, reporter, MemoryMonitor(self.meter),
            self.guard, self.order.steps,
        )  # fmt: skip
        self.checkpoints = (Checkpoints if is_first() else FollowedCheckpoints)(
            checkpoint_folder, total_limit=parameters.save_total_limit, only_model=parameters.save_only_model
        )
        apply_activation_policy(model, plan.policy)
        model.train()
        self.stepper = Stepper(
            model=model, optimiser=optimiser, device=self.device, compute_dtype=self.compute_dtype, scaler=scaler,
            max_grad_norm=parameters.max_grad_norm, max_rows=plan.max_rows, max_tokens=plan.max_tokens,
            on_event=self._note_memory, noise_alpha=parameters.neftune_noise_alpha, seed=parameters.seed,
        )  # fmt: skip
        self.continuation = Continuation(self.parts, self.stepper, self.checkpoints, parameters.max_memory_gb)
        self._rolled_back = False
        self._earlier_events = 0

    @property
    def history(self) -> TrainingHistory:
        """Figures and events so far."""
        return self.recorder.history

    def run(self) -> dict[str, Any]:
        """Train to the end; the newest checkpoint stays one to go on from, see `Checkpoints.finish`.

        Returns:
            The report; empty in all but the first of several processes.

        Raises:
            TrainingInterruptedError: SIGINT or SIGTERM came; a checkpoint is saved.
            TrainingDivergedError: The training diverged more often than ``max_rollbacks`` allows.
            OutOfMemoryError: A single row does not fit, not even in the most frugal way; a checkpoint is saved, unless
                ``save_strategy`` is ``no``.
        """
        torch.manual_seed(self.parameters.seed)
        self.recorder.history = self.continuation.resume(self.history)
        self._earlier_events = len(self.history.events)
        try:
            self._train()
        except OutOfMemoryError as failure:
            self._stop_without_memory(failure)
            raise
        else:
            return self._finish()
        finally:
            self.recorder.ended()

    def _train(self) -> None:
        self._announce()
        self.meter.reset_peak()
        if self._owes_validation():
            self._validate_and_save()
        watch, is_watched = (PassedOn(), False) if several() else (Interrupt(), None)
        with watch as interrupt, TrainingProgress(self.order.steps, is_watched) as progress:
            while self.history.step < self.order.steps and not self._is_patient_out():
                with closing(self._fetch()) as steps:
                    self._train_steps(steps, interrupt, progress)

    def _train_steps(
        self, steps: Iterable[list[Row]], interrupt: Interrupt, progress: TrainingProgress
    ) -> None:
        """Train until a rollback, which needs other rows, or to the end."""
        for rows in steps:
            self._train_step(rows)
            progress.show(self.history)
            if any_of_all(is_first() and interrupt.asked is not None):
                raise interrupted(str(interrupt.asked), self.history.step, self.order.steps, self._save())
            if self._rolled_back or self._is_patient_out():
                break

    def _announce(self) -> None:
        """Check the disk before the first step, and say what the run will take."""
        done = self.history.step
        saves = self.cadence.most_saves(done)
        disk_bytes = self.checkpoints.require_space(self.model, saves) if saves else 0
        if done >= self.order.steps or not is_first():
            return
        first = [self.rows[number] for number in self.order.rows_of(done + 1)]
        tokens = tokens_left(self.order, done, row_lengths(self.rows))
        seconds_per_token = self.stepper.time_micro_batch(first) / self.parameters.num_processes
        announce(self.order.steps - done, tokens, seconds_per_token, disk_bytes)

    def _fetch(self) -> Generator[list[Row], None, None]:
        self._rolled_back = False
        return fetch_steps(
            self.rows, self.order, self.history.step, self.parameters, self.device.type == "cuda"
        )

    def _train_step(self, rows: list[Row]) -> None:
        start = time.perf_counter()
        with self.stepper.undone_on_failure():
            result = self.stepper.accumulate(rows, self.history.step + 1)
            self.history.step += 1
            if self.guard.is_finite(result.loss, result.norm, result.overflowed):
                self.stepper.update()
            else:
                self.stepper.discard()
                self.recorder.left_out(rows, result, self.parts.scaler.get_scale())
        rate = float(self.parts.optimiser.param_groups[0]["lr"])
        self.parts.schedule.after_step(self.history.rate_factor)
        self.history.seconds += time.perf_counter() - start
        self.recorder.step(result, rate)
        if self.guard.has_diverged(self.history.losses):
            self._roll_back()
            return
        self._validate_and_save()
        if self.parameters.empty_cache_steps and self.history.step % self.parameters.empty_cache_steps == 0:
            release_memory()

    def _validate_and_save(self) -> None:
        """What follows on a good step; the state to go back to is taken before the checkpoint that holds it."""
        step, is_best = self.history.step, False
        if self.cadence.validates(step):
            loss = self.stepper.validate(self.validation_rows)
            self.reporter.log_metrics({"validation_loss": loss}, step)
            self.parts.schedule.after_validation(loss, self.history.rate_factor)
            is_best = self.history.note_validation(loss)
            if is_best and self.parameters.load_best_model_at_end:
                self.checkpoints.save_best(self.model)
        self.continuation.note_step(self.history)
        if self.cadence.saves(step, is_best):
            self._save()

    def _owes_validation(self) -> bool:
        """Whether the run before ran out of memory in the validation after its last step."""
        step, done = self.history.step, self.history.validation
        return step > 0 and self.cadence.validates(step) and (not done or done[-1]["step"] != step)

    def _save(self) -> Path:
        self.reporter.flush()
        return self.continuation.save(self.history)

    def _roll_back(self) -> None:
        """Go back to the newest state from well before the trouble, at a lower learning rate, within limits."""
        history = self.history
        if history.rollbacks >= self.parameters.max_rollbacks or not history.has_learnt:
            raise diverged(history, self.parameters)
        restored = self.continuation.go_back(history)
        self.recorder.rolled_back(restored, diverged_at=history.step, loss=history.losses[-1])
        if self.parameters.save_strategy != "no":
            self._save()
        self.checkpoints.drop_after(restored.step)
        self._rolled_back = True

    def _note_memory(self, event: OutOfMemoryEvent) -> None:
        """Keep a recovery; a micro-batch that did not fit halves those to come, however often it was split itself."""
        self.recorder.out_of_memory(event)
        if event.work == "training" and event.action == "split" and event.first and event.size:
            self.continuation.lower_tokens(-(-event.size // 2))

    def _is_patient_out(self) -> bool:
        patience = self.parameters.early_stopping_patience
        return patience is not None and self.history.validations_without_gain >= patience

    def _stop_without_memory(self, failure: OutOfMemoryError) -> None:
        """Save what there is after the last whole step; the failure has left it as it was."""
        self.history.step = len(self.history.losses)
        if self.history.step and self.parameters.save_strategy != "no":
            raise out_of_memory(failure, self.history.step, self.order.steps, self._save()) from failure

    def _finish(self) -> dict[str, Any]:
        reading = self.meter.read()
        others = of_all(process_report(reading, self.history.events[self._earlier_events :]))[1:]
        if not is_first():
            return {}
        if self.parameters.load_best_model_at_end and self.checkpoints.load_best(self.model):
            self.history.event("best_model_loaded", best_step=self.history.best_step)
        if self._is_patient_out() and self.history.step < self.order.steps:
            self.history.event("early_stop")
        self.recorder.finished()
        memory = memory_report(self.plan.memory, reading, self.recorder.monitor.history(), others)
        return build_report(self.history, self.parameters, self.plan, self.compute_dtype, self.order, memory)
