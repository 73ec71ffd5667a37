"""Train: tokenized rows to an adapter."""

from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters

Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import


def train_adapter(
    tokenized_train: Rows,
    tokenized_validation: Rows,
    base_model: ModelSource,
    parameters: TrainParameters,
) -> tuple[Path, dict[str, Any]]:
    """Load the base in 4 bits, train its adapters, track the run."""
    import torch

    from qwen_pipeline.model.load import load_quantized_model, load_tokenizer
    from qwen_pipeline.model.lora import attach_lora, save_adapter
    from qwen_pipeline.tracking.mlflow_run import open_training_run
    from qwen_pipeline.training.loop import train

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if parameters.model_name == "demo":
        torch.set_num_threads(1)
    model = load_quantized_model(base_model, compute_dtype=torch.bfloat16, device=device)
    tuned = attach_lora(
        model, r=parameters.lora_r, alpha=parameters.lora_alpha, dropout=parameters.lora_dropout,
        seed=parameters.seed,
    )  # fmt: skip
    with open_training_run(parameters=parameters.model_dump(mode="json")) as reporter:
        for name, rows in (
            ("tokenized_train", tokenized_train),
            ("tokenized_validation", tokenized_validation),
        ):
            reporter.log_input(name, rows._fingerprint, f"data/05_model_input/{name}", "training")
        report = train(tuned, tokenized_train, tokenized_validation, parameters, reporter)
        adapter = work_directory() / "adapter"
        save_adapter(tuned, adapter, base_model.name)
        load_tokenizer(base_model).save_pretrained(str(adapter))
        reporter.log_directory(adapter, "adapter")
        reporter.log_document("train_report.json", report)
    return adapter, report
