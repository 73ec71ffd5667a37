"""The gate: no export is called done before it has answered like the live adapter.

Bounds, and why: a merge rounds each weight once to 16 bits, q8_0 to about 8, K-quants to fewer; what they cost on
held-out answers is measured anew for each export, and more than its bound fails the stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qwen_pipeline.errors import ExportGateError
from qwen_pipeline.release.reading import Distance

MAX_MEAN_KL = {"adapter": 1e-4, "q8_0": 0.01, "q6_k": 0.05, "q5_k_m": 0.1, "q4_k_m": 0.2}
MAX_LOSS_DIFFERENCE = {"adapter": 1e-3, "merged": 0.01, "f16": 0.01, "q8_0": 0.03}
LOOSE_LOSS_DIFFERENCE = 0.2  # K-quants
EXACT = ("adapter", "merged", "f16")  # their greedy answers on the demo are the live adapter's


@dataclass(frozen=True)
class Check:
    """One export's comparison with the live adapter.

    Attributes:
        export: ``adapter``, ``merged``, a GGUF type, or ``ollama``.
        client: What it was opened with.
        same_prompts: Share of the held-out prompts whose ids are the trained ones.
        distance: On the held-out answers; None where the export holds no weights of its own.
        same_answers: Share of the greedy answers that are equal; None where none were made.
        same_tensors: Share of the tensors that lie in the file as they were written; None where not looked at.
    """

    export: str
    client: str
    same_prompts: float
    distance: Distance | None = None
    same_answers: float | None = None
    same_tensors: float | None = None


def judge(check: Check, max_mean_kl: float, exact_answers: bool) -> list[str]:
    """What keeps an export from being shipped, in words; nothing where it may be.

    Args:
        check: The comparison.
        max_mean_kl: For merged and f16.
        exact_answers: Greedy answers must be equal where nothing was quantised (the demo).
    """
    faults = []
    if check.same_prompts < 1:
        faults.append(f"{1 - check.same_prompts:.0%} of the prompts have other token ids")
    if check.distance is not None:
        most = MAX_MEAN_KL.get(check.export, max_mean_kl)
        if not check.distance.mean_kl <= most:
            faults.append(f"mean KL {check.distance.mean_kl:.2g} nats a token, {most:g} allowed")
        most = MAX_LOSS_DIFFERENCE.get(check.export, LOOSE_LOSS_DIFFERENCE)
        if not check.distance.loss_difference <= most:
            faults.append(
                f"loss {check.distance.loss_difference:+.2g} on the compared answers, {most:g} allowed"
            )
    if exact_answers and check.export in EXACT and check.same_answers is not None and check.same_answers < 1:
        faults.append(f"{1 - check.same_answers:.0%} of the greedy answers differ")
    if check.same_tensors is not None and check.same_tensors < 1:
        faults.append(
            f"{1 - check.same_tensors:.0%} of the tensors do not lie in the file as they were written"
        )
    return faults


def require_passed(
    checks: Sequence[Check], max_mean_kl: float, exact_answers: bool, merges: Mapping[str, Distance]
) -> None:
    """Stop the stage where an export does not answer like the live adapter.

    Raises:
        ExportGateError: With every fault of every export.
    """
    failed = {check.export: judge(check, max_mean_kl, exact_answers) for check in checks}
    told = "; ".join(f"{export}: {', '.join(faults)}" for export, faults in failed.items() if faults)
    if not told:
        return
    merged = ", ".join(f"{name} base {found.mean_kl:.2g}" for name, found in merges.items())
    raise ExportGateError(
        f"These exports do not answer like the live adapter: {told}. The export before stays. "
        + (f"(KL of a merge into the {merged}.) " if merged else "")
        + "Leave them out of export_formats and gguf_types, or allow more with export_max_mean_kl."
    )


def table_of(checks: Sequence[Check], max_mean_kl: float, exact_answers: bool) -> list[dict[str, Any]]:
    """The checks as rows of ``export_report``, each with its bounds and verdict."""
    rows = []
    for check in checks:
        row = asdict(check)
        row |= row.pop("distance") or {}
        row["max_mean_kl"] = MAX_MEAN_KL.get(check.export, max_mean_kl) if check.distance else None
        row["passed"] = not judge(check, max_mean_kl, exact_answers)
        rows.append(row)
    return rows
