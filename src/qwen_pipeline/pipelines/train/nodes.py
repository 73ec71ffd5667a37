"""Train: tokenized rows to an adapter."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.workspace import current_fingerprint, once_published, work_directory
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.fields import run_time_fields
from qwen_pipeline.params.train import TrainParameters

Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import


def train_adapter(
    tokenized_train: Rows, tokenized_validation: Rows, base_model: ModelSource, parameters: TrainParameters
) -> tuple[Path, dict[str, Any]]:
    """Load the base in 4 bits, train its adapters, track the run; its checkpoints hold out until all is published.

    Returns:
        The adapter's folder and the train report.
    """
    from qwen_pipeline.training.session import forget_training, train_tracked

    inputs = {"tokenized_train": tokenized_train, "tokenized_validation": tokenized_validation}
    digests = {name: str(rows._fingerprint) for name, rows in inputs.items()}
    folder = (
        Path(parameters.checkpoint_dir)
        / (current_fingerprint() or _own_fingerprint(parameters, digests, base_model))[:16]
    )
    made = train_tracked(
        tokenized_train, tokenized_validation, base_model, parameters, digests, folder, work_directory()
    )
    once_published(partial(forget_training, folder))
    return made


def _own_fingerprint(parameters: TrainParameters, digests: dict[str, str], base_model: ModelSource) -> str:
    """What names the checkpoints where no incremental run gives a fingerprint: settings, rows and the base model."""
    settings = parameters.model_dump(mode="json", exclude=set(run_time_fields(TrainParameters)))
    content = [settings, digests, base_model.fingerprint()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
