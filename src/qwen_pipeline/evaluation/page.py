"""The evaluation as one self-contained HTML page, Chinese and English, for screen, phone and paper."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from html import escape
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from qwen_pipeline.evaluation.charts import Words, histogram, line_chart
from qwen_pipeline.evaluation.comparison import LOWER_IS_BETTER
from qwen_pipeline.evaluation.metrics import answer_of, tokens_of
from qwen_pipeline.evaluation.page_words import (
    BASE,
    FAULTS,
    GROUPS,
    NAMES,
    PLANNED,
    RATE,
    REFERENCE,
    TITLES,
    TRAIN,
    TUNED,
    VALIDATION,
    VERDICTS,
    figure,
    forgetting_in_chinese,
    verdict_in_chinese,
)

SHOWN = 30  # of the best and of the worst answers
_MOST_EXACT_PIECES = (
    800  # beyond, frequent pieces align nothing: an answer that repeats itself takes seconds otherwise
)
_WIDEST_DIFF = 4000  # characters that are compared; a longer text is shown as it is


def render_page(
    report: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]], train_report: Mapping[str, Any]
) -> str:
    """Render the page.

    Args:
        report: ``evaluation_report``.
        predictions: Rows of ``predictions``.
        train_report: ``train_report``, for the curves.
    """
    environment = Environment(loader=PackageLoader("qwen_pipeline.evaluation", "templates"), autoescape=True)
    ranked = sorted(predictions, key=lambda row: -row["tuned_chrf"])
    cut = ranked if len(ranked) <= 2 * SHOWN else [*ranked[:SHOWN], *ranked[-SHOWN:]]
    return environment.get_template("page.html").render(
        report=report,
        title=TITLES[report["held_out"]["split"]],
        figures=_figures(report),
        verdict_zh=verdict_in_chinese(report),
        forgetting_zh=forgetting_in_chinese(report) if report["forgetting"] else "",
        fault_words=FAULTS,
        group_words=GROUPS,
        answers=[_answer(row) for row in cut],
        left_out=len(ranked) - len(cut),
        charts=[chart for chart in _charts(predictions, train_report) if chart],
        train=train_report,
        faults=sorted({fault for row in predictions for fault in row["tuned_faults"].split("+") if fault}),
        files=sorted({row["source_file"] for row in predictions}),
    )


def _figures(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, tuned in report["tuned"].items():
        found = report["differences"].get(name)
        rows.append(
            {
                "names": NAMES.get(name, (name, name)),
                "base": figure(name, report["base"][name]) if name in report["base"] else "",
                "tuned": figure(name, tuned),
                "verdict_zh": VERDICTS[found["verdict"]] if found else "",
                "found": found,
                "arrow": _arrow(name),
            }
        )
    return rows


def _arrow(name: str) -> str:
    """Which way a figure is better; a length is neither."""
    if name.endswith("_characters"):
        return ""
    return "↓" if name in (*LOWER_IS_BETTER, "perplexity") else "↑"


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "faults": row["tuned_faults"].split("+") if row["tuned_faults"] else [],
        "difference": mark_difference(answer_of(row["reference"]), row["tuned_answer"]),
    }


def mark_difference(reference: str, answer: str) -> Markup:
    """The answer with what it adds to the reference marked ``ins``, and what it lacks ``del``."""
    if max(len(reference), len(answer)) > _WIDEST_DIFF:
        return Markup(escape(answer))
    cut = (_pieces(reference), _pieces(answer))
    parts = []
    is_long = max(map(len, cut)) > _MOST_EXACT_PIECES
    for kind, a, b, c, d in SequenceMatcher(None, cut[0], cut[1], autojunk=is_long).get_opcodes():
        gone, new = escape("".join(cut[0][a:b])), escape("".join(cut[1][c:d]))
        if kind == "equal":
            parts.append(new)
        else:
            parts.append((f"<del>{gone}</del>" if gone else "") + (f"<ins>{new}</ins>" if new else ""))
    return Markup("".join(parts))


def _pieces(text: str) -> list[str]:
    """A text in words, ideographs and what lies between them; together they are the text."""
    pieces, lower, at = [], text.lower(), 0
    if len(lower) != len(text):  # lower case may be longer; then every character is a piece
        return list(text)
    for token in tokens_of(text):
        start = lower.index(token, at)
        pieces += [text[at:start]] if start > at else []
        pieces.append(text[start : start + len(token)])
        at = start + len(token)
    return [*pieces, text[at:]] if at < len(text) else pieces


def _charts(predictions: Sequence[Mapping[str, Any]], train: Mapping[str, Any]) -> list[Markup]:
    losses = list(enumerate(train.get("losses", []), start=1))
    validation = [(row["step"], row["loss"]) for row in train.get("validation", [])]
    rates = list(enumerate(train.get("learning_rates", []), start=1))
    steps = ("step", "步")
    return [
        line_chart([(TRAIN, losses), (VALIDATION, validation)], steps, ("loss, nats a token", "损失（每 token，nat）")),
        line_chart([(RATE, rates)], steps, RATE),
        _memory_chart(train.get("memory", {}), steps),
        histogram(
            [
                (BASE, [row["base_chrf"] for row in predictions]),
                (TUNED, [row["tuned_chrf"] for row in predictions]),
            ],
            ("chrF", "chrF"), ("answers by likeness", "回答数：按与参考的相似度"),
        ),
        histogram(
            [
                (REFERENCE, [float(len(answer_of(row["reference"]))) for row in predictions]),
                (TUNED, [float(len(row["tuned_answer"])) for row in predictions]),
            ],
            ("characters", "字数"), ("answers by length", "回答数：按长度"),
        ),
    ]  # fmt: skip


def _memory_chart(memory: Mapping[str, Any], steps: Words) -> Markup:
    """Memory over the steps, measured, and what was planned as a line across."""
    over_time = memory.get("over_time") or []
    names = {"gpu_reserved_gib": ("GPU", "显存"), "host_resident_gib": ("host", "内存")}
    lines = [
        (title, [(row["step"], row[name]) for row in over_time if name in row])
        for name, title in names.items()
    ]
    lines = [line for line in lines if line[1]]
    on_gpu = any("gpu_reserved_gib" in row for row in over_time)
    planned = (memory.get("planned") or {}).get("reserved_gib" if on_gpu else "process_gib")
    if planned and over_time:
        lines.append((PLANNED, [(over_time[0]["step"], planned), (over_time[-1]["step"], planned)]))
    return line_chart(lines, steps, ("memory, GiB", "内存与显存，GiB"))
