"""Base and tuned side by side: figures, differences that are real, and the verdict in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from qwen_pipeline.evaluation.comparison import LOWER_IS_BETTER, compare_paired
from qwen_pipeline.evaluation.measure import HeldOut

_COMPARED = (
    "exact_match", "chrf", "rouge_l", "bleu", "recognised", "repetition", "irrelevance", "format_error",
    "thinking_closed", "stopped", "language_kept",
)  # fmt: skip
Measured = Mapping[str, Any]


def build_report(base: Measured, tuned: Measured, seed: int) -> dict[str, Any]:
    """Put two measurements of the same rows together.

    Args:
        base: What `measure_model` says of the base model.
        tuned: The same of the tuned model.
        seed: Of the bootstrap.

    Returns:
        ``verdict`` (a sentence), ``base`` and ``tuned`` (figures), ``differences`` (with intervals and verdicts),
        ``groups``, ``general``, and how many ``rows`` and ``questions`` were measured.
    """
    differences = _differences(base, tuned, seed)
    return {
        "verdict": verdict_of(base["scores"], tuned["scores"], differences["loss"], len(tuned["rows"])),
        "base": base["scores"],
        "tuned": tuned["scores"],
        "differences": differences,
        "groups": {
            kind: {
                name: {"base": base["groups"][kind][name], "tuned": figures}
                for name, figures in groups.items()
            }
            for kind, groups in tuned["groups"].items()
        },
        "general": {"base": base["general"], "tuned": tuned["general"]},
        "forgetting": forgetting_of(base["general"], tuned["general"]),
        "rows": len(tuned["rows"]),
        "questions": len(tuned["answers"]),
    }


def _differences(base: Measured, tuned: Measured, seed: int) -> dict[str, Any]:
    found = {}
    for name, weight in (("loss", "tokens"), ("bits_per_character", "characters")):
        sums = [[row["loss"] for row in side["rows"]] for side in (base, tuned)]
        weights = [row[weight] for row in tuned["rows"]]
        found[name] = compare_paired(*sums, weights=weights, lower_is_better=True, seed=seed)
    found["bits_per_character"] = _in_bits(found["bits_per_character"])
    for name in _COMPARED:
        pairs = [
            (base["answers"][key]["scores"][name], answer["scores"][name])
            for key, answer in tuned["answers"].items()
            if name in answer["scores"] and name in base["answers"][key]["scores"]
        ]
        if pairs:
            sides = ([pair[side] for pair in pairs] for side in (0, 1))
            found[name] = compare_paired(*sides, lower_is_better=name in LOWER_IS_BETTER, seed=seed)
    return found


def _in_bits(difference: dict[str, Any]) -> dict[str, Any]:
    nats_per_bit = 0.6931471805599453
    return {
        name: value / nats_per_bit if isinstance(value, float) else value
        for name, value in difference.items()
    }


def verdict_of(
    base: Mapping[str, float], tuned: Mapping[str, float], loss: Mapping[str, Any], rows: int
) -> str:
    """The verdict in one or two sentences.

    Args:
        base: Figures of the base model.
        tuned: Figures of the tuned model.
        loss: The compared loss.
        rows: Held-out answers behind it.
    """
    interval = f"{base['loss']:.3f} to {tuned['loss']:.3f}, 95 % interval of the difference {loss['low']:.3f} to {loss['high']:.3f}"
    change = (
        f"{abs(1 - tuned['loss'] / base['loss']):.0%} {'lower' if tuned['loss'] < base['loss'] else 'higher'}"
    )
    if loss["verdict"] == "not told apart":
        words = f"Not told apart: the loss on {rows} held-out answers is {change} than the base model's ({interval})."
    else:
        words = f"{loss['verdict'].capitalize()}: the tuned model's loss on {rows} held-out answers is {change} than the base model's ({interval})."
    if "recognised" in tuned:
        words += f" It answers {tuned['recognised']:.0%} of the asked questions recognisably, the base {base['recognised']:.0%}."
    return words


def forgetting_of(base: Mapping[str, float], tuned: Mapping[str, float]) -> str | None:
    """What became of general questions, in one sentence; ``None`` where none were asked."""
    if not tuned:
        return None
    change = tuned["bits_per_character"] - base["bits_per_character"]
    words = f"General questions cost {abs(change):.2f} bits a character {'more' if change > 0 else 'less'} than before"
    return f"{words}; the thinking block is used in {tuned['thinking_rate']:.0%} of the answers, before in {base['thinking_rate']:.0%}."


def prediction_rows(base: Measured, tuned: Measured, held_out: HeldOut) -> list[dict[str, Any]]:
    """The table ``predictions``: a row a question that was answered."""
    rows = []
    for name, answer in tuned["answers"].items():
        conversation, before = held_out.conversations[name], base["answers"][name]
        rows.append(
            {
                "example_id": name,
                "question": conversation[-2]["content"],
                "reference": conversation[-1]["content"],
                "base_answer": before["text"],
                "tuned_answer": answer["text"],
                "base_chrf": before["scores"]["chrf"],
                "tuned_chrf": answer["scores"]["chrf"],
                "tuned_faults": "+".join(_faults(answer["scores"])),
                "source_file": held_out.source_files[name],
            }
        )
    return rows


def _faults(scores: Mapping[str, float]) -> Sequence[str]:
    return [name for name in ("repetition", "irrelevance", "format_error") if scores[name]]
