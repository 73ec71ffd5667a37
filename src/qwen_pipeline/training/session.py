"""One training with everything around it: cap, model, plan, MLflow run, adapter folder."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from qwen_pipeline.errors import OutOfMemoryError, TrainingDivergedError, TrainingInterruptedError
from qwen_pipeline.memory.cap import apply_memory_cap
from qwen_pipeline.memory.measure import MemoryMeter
from qwen_pipeline.memory.profile import memory_profile
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.model.device import compute_device, threads_for
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import attach_lora, save_adapter
from qwen_pipeline.model.portable import save_tokenizer
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.mlflow_run import MlflowReporter, open_training_run
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.checkpoint import Checkpoints
from qwen_pipeline.training.fetch import require_rows, row_lengths
from qwen_pipeline.training.launch import run_in_processes
from qwen_pipeline.training.loop import Trainer
from qwen_pipeline.training.planning import TrainingPlan, plan_training
from qwen_pipeline.training.precision import compute_dtype_for
from qwen_pipeline.training.ranks import is_first, leave_ranks, require_own_launch
from qwen_pipeline.training.state import TrainingHistory

logger = logging.getLogger(__name__)


def train_tracked(
    rows: Any,
    validation_rows: Any,
    base_model: ModelSource,
    parameters: TrainParameters,
    digests: Mapping[str, str],
    checkpoint_folder: Path,
    work: Path,
) -> tuple[Path, dict[str, Any]]:
    """Train an adapter in one MLflow run; an interrupted training goes on in its own.

    The training state stays until `forget_training`: one that was interrupted after its last step only publishes.

    Args:
        rows: Training rows, a sequence of mappings.
        validation_rows: Validation rows.
        base_model: Where the base model is.
        parameters: All settings.
        digests: Digest of each input dataset, by name.
        checkpoint_folder: Of this training alone.
        work: Where the adapter's folder is written.

    Returns:
        The adapter's folder and the train report.
    """
    require_own_launch(parameters.num_processes)
    require_rows(rows, validation_rows, parameters)
    task = _Task(rows, validation_rows, base_model, parameters, digests, checkpoint_folder, work)
    if parameters.num_processes == 1:
        return _train(task)
    base_model.directory()  # fetched once, and not by each process
    _checkpoints(checkpoint_folder).clear_leftovers()
    made: tuple[Path, dict[str, Any]] = run_in_processes(parameters.num_processes, _train_in_ranks, task)
    return made


@dataclass(frozen=True)
class _Task:
    """What `train_tracked` was given."""

    rows: Any
    validation_rows: Any
    base_model: ModelSource
    parameters: TrainParameters
    digests: Mapping[str, str]
    checkpoint_folder: Path
    work: Path


def _train_in_ranks(task: _Task) -> tuple[Path, dict[str, Any]] | None:
    """In one of several processes: the first tracks the training and writes its results, the others only take its steps."""
    made = None
    if is_first():
        made = _train(task)
    else:
        config, plan, device = _plan(task)
        with threads_for(config.hidden_size):
            trainer = _make_trainer(task, plan, device, Reporter())
            try:
                trainer.run()
            except (TrainingInterruptedError, TrainingDivergedError, OutOfMemoryError):
                return None  # it ended so in all of them, and the first one says so
    leave_ranks()
    return made


def _train(task: _Task) -> tuple[Path, dict[str, Any]]:
    """Plan, train, track, and write the adapter's folder."""
    parameters, base_model, work = task.parameters, task.base_model, task.work
    config, plan, device = _plan(task)
    history = _history(task.checkpoint_folder)
    with (
        threads_for(config.hidden_size),
        open_training_run(
            name=_run_name(base_model, parameters),
            parameters=parameters.model_dump(mode="json"),
            tags={"base_model": base_model.name, "fingerprint": task.checkpoint_folder.name},
            resume_run_id=history.mlflow_run_id,
            undone_ms=history.rolled_back_ms or 0,
        ) as reporter,
    ):
        for name, digest in task.digests.items():
            reporter.log_input(name, digest, f"data/05_model_input/{name}")
        trainer = _make_trainer(task, plan, device, reporter)
        with ExitStack() as stack:
            if parameters.enable_memory_profiling:
                stack.enter_context(memory_profile(work / "memory_profile", device))
            report = trainer.run()
        adapter = work / "adapter"
        save_adapter(trainer.model, adapter, base_model.reference())
        save_tokenizer(load_tokenizer(base_model), adapter)
        _log(reporter, report, adapter, work)
    return adapter, report


def _plan(task: _Task) -> tuple[Any, TrainingPlan, torch.device]:
    """The base model's configuration, the plan under this process's cap, and its device."""
    device = compute_device()
    cap = apply_memory_cap(
        task.parameters.max_memory_gb, MemoryMeter(device), sharers=task.parameters.num_processes
    )
    config = _config(task.base_model)
    return config, plan_training(task.parameters, config, row_lengths(task.rows), cap, device), device


def _make_trainer(task: _Task, plan: TrainingPlan, device: torch.device, reporter: Reporter) -> Trainer:
    """A trainer of the base model, loaded here."""
    model = _load(task.base_model, task.parameters, device)
    return Trainer(
        model, task.rows, task.validation_rows, task.parameters, plan, reporter, task.checkpoint_folder
    )


def forget_training(checkpoint_folder: Path) -> None:
    """Its adapter is published: the next training of the same fingerprint starts at its first step."""
    _checkpoints(checkpoint_folder).finish()


def _history(checkpoint_folder: Path) -> TrainingHistory:
    """Of the training that was interrupted; its weights and moments stay in the file."""
    checkpoints = _checkpoints(checkpoint_folder)
    checkpoints.clear_leftovers()
    found = checkpoints.newest(mapped=True)
    return TrainingHistory.from_dict(found[1]["history"]) if found else TrainingHistory()


def _checkpoints(folder: Path) -> Checkpoints:
    return Checkpoints(folder, total_limit=None, only_model=False)


def _run_name(base_model: ModelSource, parameters: TrainParameters) -> str:
    """What a list of trainings tells apart: model, rank and when it began."""
    model = Path(base_model.name).name
    return f"{model} r{parameters.lora_r} {datetime.now():%Y-%m-%d %H:%M:%S}"


def _config(base_model: ModelSource) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(str(base_model.directory(weights=False)))


def _load(base_model: ModelSource, parameters: TrainParameters, device: torch.device) -> PeftModel:
    dtype = compute_dtype_for(parameters, device)
    if parameters.bf16 and dtype == torch.float32:
        logger.info("This CPU has no fast bfloat16; the training computes in float32.")
    model = load_quantized_model(
        base_model,
        compute_dtype=dtype,
        device=device,
        attn_implementation=register_packed_attention(),
    )
    return attach_lora(
        model, r=parameters.lora_r, alpha=parameters.lora_alpha, dropout=parameters.lora_dropout,
        seed=parameters.seed, **parameters.lora_variant,
    )  # fmt: skip


def _log(reporter: MlflowReporter, report: dict[str, Any], adapter: Path, work: Path) -> None:
    reporter.log_directory(adapter, "adapter")
    reporter.log_model(adapter, "adapter")
    reporter.log_document("train_report.json", report)
    if (work / "memory_profile").is_dir():
        reporter.log_directory(work / "memory_profile", "memory_profile")
