"""A page of pictures about the data: one HTML file without anything from outside, drawn as SVG."""

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from math import log2
from typing import Any

import pyarrow as pa

from qwen_pipeline.text.quality import main_language

_WIDTH, _BAR, _LABEL = 640, 20, 210
_MOST_BARS = 20
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em}svg{display:block}text{font:13px system-ui,sans-serif}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}"
)


class DataFigures:
    """Lengths and languages of the clean examples, counted batch by batch."""

    def __init__(self) -> None:
        self.question_lengths: Counter[int] = Counter()
        self.answer_lengths: Counter[int] = Counter()
        self.languages: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch that has the column ``messages``."""
        for messages in batch.column("messages").to_pylist():
            answer = messages[-1]["content"]
            asked = sum(len(message["content"]) for message in messages[:-1])
            self.question_lengths[_power(asked)] += 1
            self.answer_lengths[_power(len(answer))] += 1
            self.languages[main_language(answer)] += 1


def _power(length: int) -> int:
    """The bin of a length: n for 2^n to 2^(n+1) - 1 characters."""
    return int(log2(length)) if length else 0


def render_data_page(batches: Iterable[pa.RecordBatch], report: Mapping[str, Any]) -> str:
    """The page.

    Args:
        batches: The clean examples.
        report: The account of ingest and clean.
    """
    figures = DataFigures()
    for batch in batches:
        figures.add(batch)
    total = report["total"]
    gone = {
        **total["rejected"],
        "exact duplicate": total["duplicates_exact"],
        "near duplicate": total["duplicates_near"],
    }
    sections = [
        ("Splits (rows)", total["splits"]),
        ("Why rows went (rows)", gone),
        ("Encodings (rows found)", total["encodings"]),
        ("Repairs (rows)", total["repairs"]),
        ("Languages of the answers (rows kept)", figures.languages),
        ("Length of what is asked (characters)", _binned(figures.question_lengths)),
        ("Length of the answers (characters)", _binned(figures.answer_lengths)),
    ]
    pictures = "".join(f"<h2>{escape(title)}</h2>{_bars(counts)}" for title, counts in sections)
    head = f"{total['kept']} of {total['found']} rows kept, from {len(report['files'])} files"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Data</title><style>{_STYLE}</style>'
        f"<h1>{head}</h1>{pictures}<h2>Files</h2>{_file_table(report['files'])}</html>\n"
    )


def _binned(counts: Mapping[int, int]) -> dict[str, int]:
    if not counts:
        return {}
    return {f"{2**n}–{2 ** (n + 1) - 1}": counts.get(n, 0) for n in range(min(counts), max(counts) + 1)}


def _bars(counts: Mapping[str, int]) -> str:
    """Horizontal bars, the longest as wide as the picture allows; lengths keep their order, others are ranked."""
    shown = {str(name): count for name, count in counts.items() if count}
    if not shown:
        return "<p>none</p>"
    if not all("–" in name for name in shown):
        shown = dict(sorted(shown.items(), key=lambda one: (-one[1], one[0]))[:_MOST_BARS])
    longest, room = max(shown.values()), _WIDTH - _LABEL - 80
    rows = []
    for number, (name, count) in enumerate(shown.items()):
        top = number * (_BAR + 4)
        width = max(room * count / longest, 1)
        rows.append(
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="#4269d0"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{top + 15}">{count}</text>'
        )
    return f'<svg width="{_WIDTH}" height="{len(rows) * (_BAR + 4)}" role="img">{"".join(rows)}</svg>'


def _file_table(files: Mapping[str, Mapping[str, Any]]) -> str:
    heads = ("file", "found", "kept", "rejected", "exact", "near")
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(str(cell))}</td>"
            for cell in (
                name,
                file["found"],
                file["kept"],
                sum(file["rejected"].values()),
                file["duplicates_exact"],
                file["duplicates_near"],
            )
        )
        + "</tr>"
        for name, file in list(files.items())[:500]
    )
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"
