"""The model card of an export: what it is, how to load it, what was measured, what it was trained on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen_pipeline.release.card_use import LIBRARIES, how_to_load
from qwen_pipeline.release.licence import Licence

TRAINING = (
    "num_epochs", "learning_rate", "lr_scheduler_type", "lora_r", "lora_alpha", "lora_dropout", "batch_size",
    "gradient_accumulation_steps", "max_sequence_length", "seed",
)  # fmt: skip
# Of the figures those that tell a reader who did not make the model whether it is any good.
RESULTS = {
    "loss": "loss, nats a token",
    "bits_per_character": "bits a character",
    "token_accuracy": "next token right",
    "exact_match": "answers equal to the reference",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
    "repetition": "answers that repeat themselves",
    "irrelevance": "answers beside the point",
    "format_error": "answers with a broken format",
}


@dataclass(frozen=True)
class Card:
    """What cards are written from.

    Attributes:
        base: The base model's name.
        is_on_hub: Whether the name is a hub id.
        licence: Of the base model.
        settings: The training's parameters.
        train: The training's report.
        evaluation: The evaluation's report.
        data: What was found in the data, kept and rejected.
        compared_on: The split of the rows that the export was compared on.
    """

    base: str
    is_on_hub: bool
    licence: Licence
    settings: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    compared_on: str = "test"

    def text(self, export: str, checks: Sequence[Mapping[str, Any]], files: Sequence[str]) -> str:
        """Markdown with the front matter that hubs read.

        Args:
            export: ``adapter``, ``merged``, ``gguf`` or ``ollama``: the folder that the card is for.
            checks: The gate's rows about it.
            files: Names of the files beside it.
        """
        shown = Path(self.base).name
        return "\n".join(
            [
                *self._front(export),
                f"# {shown}, tuned with LoRA ({export})",
                "",
                *_verdict(self.evaluation),
                *how_to_load(export, files, self._answer_tokens()),
                *_gate(checks, self.compared_on),
                *_results(self.evaluation),
                *_data(self.data.get("total", {})),
                *self._training(shown),
                *self._terms(shown),
            ]
        )

    def _front(self, export: str) -> list[str]:
        measured = self.evaluation.get("groups", {}).get("language", {})
        languages = sorted({*measured} - {"other"})  # which is no language's code
        lines = ["---"]
        if self.is_on_hub:
            lines += [f"base_model: {json.dumps(self.base)}", f"base_model_relation: {_relation(export)}"]
        lines += [f"license: {self.licence.name or 'other'}", f"library_name: {LIBRARIES[export]}"]
        lines += [f"language: [{', '.join(languages)}]"] if languages else []
        return [*lines, "pipeline_tag: text-generation", "tags: [lora, qlora, qwen3]", "---", ""]

    def _answer_tokens(self) -> int:
        return int(self.settings.get("max_new_tokens", 512))

    def _training(self, shown: str) -> list[str]:
        told = [
            f"{self.train[name]:,} {name}" for name in ("steps", "tokens") if _is_number(self.train.get(name))
        ]
        lines = ["## Training", "", f"LoRA on {shown} in 4 bits (NF4, double quantisation)"]
        lines[-1] += f": {' on '.join(told)}." if told else "."
        used = [name for name in TRAINING if name in self.settings]
        if used:
            lines += ["", "| parameter | value |", "|---|---:|"]
            lines += [f"| `{name}` | {self.settings[name]} |" for name in used]
        return [*lines, ""]

    def _terms(self, shown: str) -> list[str]:
        if self.licence.name is None:
            told = f"Nothing beside {shown} tells its licence: look it up and name it above before you pass this on."
        else:
            told = f"That of the base model {shown}: {self.licence.name}."
        return [
            "## Licence",
            "",
            f"{told} Whether the training data may be passed on with it is yours to say.",
            "",
        ]


def _relation(export: str) -> str:
    return {"adapter": "adapter", "merged": "finetune"}.get(export, "quantized")


def _verdict(report: Mapping[str, Any]) -> list[str]:
    """The evaluation's verdict; what its author could do about missing rows is nothing for a reader."""
    if report.get("rows") == 0:
        return ["How good it is was not measured: no conversation was held out from the training.", ""]
    if not isinstance(verdict := report.get("verdict"), str):
        return []
    if remark := report.get("remark"):
        verdict = verdict.removesuffix(remark) + "It was measured on the validation split."
    return [verdict, ""]


def _gate(checks: Sequence[Mapping[str, Any]], split: str) -> list[str]:
    if not checks:
        return []
    lines = ["## Compared with the adapter it was made from", ""]
    rows = "rows of the training" if split == "train" else "held-out rows"
    lines += [f"On {rows}, opened by the client named.", ""]
    lines += [
        "| export | client | mean KL, nats a token | loss difference | same prompts | same greedy answers |"
    ]
    lines += ["|---|---|---:|---:|---:|---:|"]
    return [*lines, *(_gate_row(check) for check in checks), ""]


def _gate_row(check: Mapping[str, Any]) -> str:
    figures = [_number(check.get("mean_kl")), _number(check.get("loss_difference"), "+.2g")]
    shares = [_number(check.get(name), ".0%") for name in ("same_prompts", "same_answers")]
    return f"| {check['export']} | {check['client']} | {' | '.join([*figures, *shares])} |"


def _results(report: Mapping[str, Any]) -> list[str]:
    base, tuned = report.get("base", {}), report.get("tuned", {})
    names = [name for name in RESULTS if _is_number(tuned.get(name)) and _is_number(base.get(name))]
    if not names:
        return []
    found = report.get("differences", {})
    lines = [
        "## Results",
        "",
        f"On {report.get('rows', 'the')} held-out answers, none of which was trained on.",
        "",
    ]
    lines += ["| | base | tuned | |", "|---|---:|---:|---|"]
    for name in names:
        verdict = found.get(name, {}).get("verdict", "")
        lines.append(f"| {RESULTS[name]} | {base[name]:.3g} | {tuned[name]:.3g} | {verdict} |")
    forgetting = report.get("forgetting")
    return [*lines, "", *([forgetting, ""] if isinstance(forgetting, str) else [])]


def _data(total: Mapping[str, Any]) -> list[str]:
    if not _is_number(total.get("found")):
        return []
    rejected = sum((total.get("rejected") or {}).values())
    lines = ["## Data", "", "| conversations | |", "|---|---:|", f"| found | {total['found']:,} |"]
    lines += [f"| rejected | {rejected:,} |"]
    lines += [
        f"| {name.replace('_', ' ')} | {total[name]:,} |"
        for name in ("duplicates_exact", "duplicates_near", "kept")
        if _is_number(total.get(name))
    ]
    return [*lines, *(f"| of them {name} | {n:,} |" for name, n in (total.get("splits") or {}).items()), ""]


def _number(value: Any, form: str = ".2g") -> str:
    return format(value, form) if _is_number(value) else "—"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
