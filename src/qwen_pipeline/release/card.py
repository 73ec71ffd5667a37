"""The model card: what the adapter is, what it was trained on, what was measured."""

import json
from typing import Any


def write_card(base_name: str, train_report: dict[str, Any], evaluation_report: dict[str, Any]) -> str:
    """Markdown with the front matter that hubs read.

    Args:
        base_name: The base model.
        train_report: The training's report.
        evaluation_report: The evaluation's report.
    """
    lines = [
        "---",
        f"base_model: {json.dumps(base_name)}",
        "library_name: peft",
        "tags: [lora, qlora, qwen3]",
        "---",
    ]
    lines += ["", f"# LoRA adapter for {base_name}", "", evaluation_report["verdict"], ""]
    lines += ["| on the test split | base | tuned |", "|---|---|---|"]
    for name, value in evaluation_report["tuned"].items():
        lines.append(f"| {name} | {evaluation_report['base'][name]:.4g} | {value:.4g} |")
    lines += ["", f"Trained for {train_report['steps']} steps on {train_report['tokens']} tokens.", ""]
    return "\n".join(lines)
