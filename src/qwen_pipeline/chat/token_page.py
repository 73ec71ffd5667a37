"""A page of pictures about the tokenized rows: how long they are, split by split, and what did not fit."""

from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.page import Bars, Rows, length_bins, render_page

_FIGURES = ("examples", "kept", "rows", "questions_cut", "answers_cut", "tokens", "trained_tokens")


def render_token_page(report: Mapping[str, Any]) -> str:
    """The page.

    Args:
        report: The account of the tokenize stage.
    """
    splits = report["splits"]
    total = report["total"]
    lengths = [
        Bars(
            f"Length of the rows of {name} (tokens)",
            length_bins({int(power): count for power, count in split["row_tokens_by_power_of_two"].items()}),
            ranked=False,
        )
        for name, split in splits.items()
    ]
    quantiles = ("p50", "p90", "p99", "max")
    table = Rows(
        "Figures",
        ("split", *(name.replace("_", " ") for name in _FIGURES), *quantiles),
        [
            (name, *(split[key] for key in _FIGURES), *(split["row_tokens"][key] for key in quantiles))
            for name, split in splits.items()
        ],
    )
    title = f"{total['kept']:,} of {total['found']:,} examples tokenized"
    remark = f"max_sequence_length is {report['max_sequence_length']} tokens; a longer row is cut or refused."
    return render_page(title, [remark], [*lengths, Bars("Why examples went", total["rejected"]), table])
