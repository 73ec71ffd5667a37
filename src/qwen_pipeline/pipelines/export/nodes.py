"""Export: what is shipped, compared with what was measured."""

import shutil
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.export import ExportParameters

Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import

PARITY_ROWS = 16


def export_model(
    adapter: Path,
    base_model: ModelSource,
    tokenized_test: Rows,
    train_report: dict[str, Any],
    evaluation_report: dict[str, Any],
    parameters: ExportParameters,
) -> tuple[Path, dict[str, Any]]:
    """Write the asked formats and compare each with the live adapter."""
    from transformers import GenerationConfig

    from qwen_pipeline.release.card import write_card

    target = work_directory() / "exported_model"
    shutil.rmtree(target, ignore_errors=True)
    formats = parameters.export_formats.split("+")
    report: dict[str, Any] = {"formats": formats}
    card = write_card(base_model.name, train_report, evaluation_report)
    generation = GenerationConfig(**parameters.generation_config.model_dump())
    if "adapter" in formats:
        shutil.copytree(adapter, target / "adapter")
        _finish(target / "adapter", card, generation)
    if "merged" in formats:
        report["merged"] = _export_merged(adapter, base_model, tokenized_test, target / "merged")
        _finish(target / "merged", card, generation)
    return target, report


def _export_merged(
    adapter: Path, base_model: ModelSource, tokenized_test: Rows, target: Path
) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    from qwen_pipeline.errors import ExportGateError
    from qwen_pipeline.model.load import load_quantized_model, load_tokenizer
    from qwen_pipeline.model.lora import load_adapter
    from qwen_pipeline.model.merge import merge_adapter
    from qwen_pipeline.release.parity import MAX_MEAN_KL, compare_models

    merge_adapter(base_model, adapter).save_pretrained(str(target))
    load_tokenizer(base_model).save_pretrained(str(target))
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if base_model.name == "demo":
        torch.set_num_threads(1)
    base = load_quantized_model(base_model, compute_dtype=torch.bfloat16, device=device)
    live = load_adapter(base, adapter).eval()
    shipped = AutoModelForCausalLM.from_pretrained(str(target), dtype=torch.bfloat16).eval()
    figures = compare_models(
        live,
        shipped,
        [dict(row) for row in tokenized_test.select(range(min(PARITY_ROWS, len(tokenized_test))))],
    )
    if figures["mean_kl"] > MAX_MEAN_KL:
        raise ExportGateError(
            f"The merged model does not answer like the adapter: mean KL {figures['mean_kl']:.3f} on "
            f"held-out answers, {MAX_MEAN_KL} allowed; the export before stays. Use export_formats=adapter."
        )
    return figures


def _finish(folder: Path, card: str, generation: Any) -> None:
    (folder / "README.md").write_text(card, encoding="utf-8")
    generation.save_pretrained(str(folder))
