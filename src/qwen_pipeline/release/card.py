"""The model card: what the adapter is, what it was trained on, what was measured."""

import json
from collections.abc import Mapping
from typing import Any

TRAINING = ("num_epochs", "learning_rate", "lora_r", "lora_alpha", "max_sequence_length")


def write_card(
    base_name: str,
    train_report: Mapping[str, Any],
    evaluation_report: Mapping[str, Any],
    data_report: Mapping[str, Any] | None = None,
) -> str:
    """Markdown with the front matter that hubs read.

    Args:
        base_name: The base model.
        train_report: The training's report.
        evaluation_report: The evaluation's report.
        data_report: What was found in the data, kept and rejected.
    """
    front = ["---", f"base_model: {json.dumps(base_name)}", "library_name: peft"]
    front += ["tags: [lora, qlora, qwen3]", "---", ""]
    return "\n".join(
        [
            *front,
            f"# {base_name}, tuned with LoRA",
            "",
            *_results(evaluation_report),
            *_data((data_report or {}).get("total", {})),
            *_training(train_report),
            *_use(),
        ]
    )


def _results(report: Mapping[str, Any]) -> list[str]:
    verdict = report.get("verdict")
    lines = ["## Results", "", *([str(verdict), ""] if isinstance(verdict, str) else [])]
    base, tuned = report.get("base", {}), report.get("tuned", {})
    names = [name for name, value in tuned.items() if _is_number(value) and _is_number(base.get(name))]
    if not names:
        return lines
    lines += ["| on the test split | base | tuned |", "|---|---:|---:|"]
    lines += [f"| {name} | {base[name]:.4g} | {tuned[name]:.4g} |" for name in names]
    return [*lines, ""]


def _data(total: Mapping[str, Any]) -> list[str]:
    counts = {name: value for name, value in total.items() if _is_number(value)}
    if not counts:
        return []
    rejected = total.get("rejected")
    if isinstance(rejected, Mapping):
        counts["rejected"] = sum(rejected.values())
    lines = ["## Data", "", "| conversations | |", "|---|---:|"]
    return [*lines, *(f"| {name.replace('_', ' ')} | {value:,} |" for name, value in counts.items()), ""]


def _training(report: Mapping[str, Any]) -> list[str]:
    lines = ["## Training", ""]
    told = [f"{report[name]:,} {name}" for name in ("steps", "tokens") if _is_number(report.get(name))]
    if told:
        lines.append(f"4-bit base (NF4, double quantisation) with LoRA: {' on '.join(told)}.")
    settings = report.get("parameters")
    if isinstance(settings, Mapping):
        lines += ["", ", ".join(f"{name} {settings[name]}" for name in TRAINING if name in settings) + "."]
    return [*lines, ""]


def _use() -> list[str]:
    return [
        "## Use",
        "",
        "The tokenizer in this folder has the chat template that was trained on; the prompt ends where the",
        "template's generation prompt ends. `adapter/` loads with peft, `merged/` with transformers, `gguf/` with",
        "llama.cpp, `ollama/Modelfile` with Ollama. Every file was compared with the adapter before it was kept.",
        "",
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
