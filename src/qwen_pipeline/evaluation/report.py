"""Base and tuned side by side: figures, differences that are real, and the verdict in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from qwen_pipeline.evaluation.comparison import LOWER_IS_BETTER, compare_paired
from qwen_pipeline.evaluation.held_out import HeldOut

_COMPARED = (
    "exact_match", "chrf", "rouge_l", "bleu", "recognised", "repetition", "irrelevance", "format_error",
    "thinking_closed", "stopped", "language_kept",
)  # fmt: skip
_TEXTS = ("example_id", "question", "reference", "base_answer", "tuned_answer")
PREDICTION_SCHEMA = pa.schema(  # the table has its columns also where nothing was answered
    [
        *(pa.field(name, pa.string()) for name in _TEXTS),
        *(pa.field(name, pa.float64()) for name in ("base_chrf", "tuned_chrf")),
        *(pa.field(name, pa.string()) for name in ("tuned_faults", "source_file")),
    ]
)
Measured = Mapping[str, Any]


def build_report(base: Measured, tuned: Measured, seed: int) -> dict[str, Any]:
    """Put two measurements of the same rows together.

    Args:
        base: What `measure_model` says of the base model.
        tuned: The same of the tuned model.
        seed: Of the bootstrap.

    Returns:
        ``verdict`` (a sentence), ``base`` and ``tuned`` (figures), ``differences`` (with intervals and verdicts),
        ``groups``, ``general``, how many ``rows`` and ``questions`` were measured, which split they are of
        (``held_out``), and a ``remark`` where it is not test. Where nothing was held out there are no figures of it.
    """
    differences = _differences(base, tuned, seed) if tuned["rows"] else {}
    remark = remark_of(tuned["held_out"])
    verdict = _verdict(base, tuned, differences)
    return {
        "verdict": f"{verdict} {remark}" if remark else verdict,
        "remark": remark,
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
        "held_out": tuned["held_out"],
    }


def _verdict(base: Measured, tuned: Measured, differences: Mapping[str, Any]) -> str:
    if not differences:
        return "Not measured."
    return verdict_of(base["scores"], tuned["scores"], differences["loss"], len(tuned["rows"]))


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
    figures = f"{base['loss']:.3f} to {tuned['loss']:.3f}"
    interval = f"{figures}; too few answers to tell"
    if loss["low"] is not None:
        interval = f"{figures}, 95% interval of the difference {loss['low']:.3f} to {loss['high']:.3f}"
    change = (
        f"{abs(1 - tuned['loss'] / base['loss']):.0%} {'lower' if tuned['loss'] < base['loss'] else 'higher'}"
    )
    answers = f"{rows} held-out answer{'s' * (rows != 1)}"
    if loss["verdict"] == "not told apart":
        words = f"Not told apart: the loss on {answers} is {change} than the base model's ({interval})."
    else:
        words = f"{loss['verdict'].capitalize()}: the tuned model's loss on {answers} is {change} than the base model's ({interval})."
    if "recognised" in tuned:
        words += f" It answers {tuned['recognised']:.0%} of the asked questions recognisably, the base {base['recognised']:.0%}."
    return words


def remark_of(held_out: Mapping[str, Any]) -> str | None:
    """Why the figures are not of the test split, and the remedy; None where they are.

    Args:
        held_out: ``split`` and ``test_rejected`` of what was measured.
    """
    if held_out["split"] == "test":
        return None
    rejected = held_out["test_rejected"]
    why = "no example fell into test; put files under test/ in data_dir, or raise test_fraction"
    if rejected:
        examples = "the only test example" if rejected == 1 else f"all {rejected} test examples"
        why = f"tokenize rejected {examples}; tokenize_rejects says why (answer_too_long: raise max_sequence_length)"
    if held_out["split"] == "validation":
        return f"These are validation rows, by which the training may have been steered: {why}."
    return f"There are no held-out rows: {why}."


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
