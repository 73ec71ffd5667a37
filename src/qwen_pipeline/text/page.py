"""A page of pictures as one HTML file without anything from outside: titles, bars drawn as SVG, tables."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from unicodedata import east_asian_width

_WIDTH, _BAR, _GAP, _LABEL, _FIGURE = 700, 18, 6, 240, 160
_WIDEST_NAME = 28  # half-width characters in _LABEL pixels of the widest usual font
_MOST_BARS = 20
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;max-width:760px;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em}p{margin:.2em 0}"
    ".scroll{overflow-x:auto}svg{display:block;max-width:100%;min-width:560px;height:auto}"
    "text{font:13px system-ui,'Noto Sans CJK SC',sans-serif;fill:currentColor}rect{fill:#4269d0}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #8884}"
    "td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere;min-width:7em}"
)


@dataclass(frozen=True, slots=True)
class Bars:
    """A picture of counts.

    Attributes:
        title: What is counted, with its unit.
        counts: By name.
        ranked: Whether the largest comes first; else the given order stays, zeros in between included.
    """

    title: str
    counts: Mapping[str, int]
    ranked: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """A table.

    Attributes:
        title: What it shows.
        heads: Names of the columns.
        rows: The cells.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str | int]]


def render_page(title: str, remarks: Sequence[str], sections: Iterable[Bars | Rows]) -> str:
    """The page.

    Args:
        title: What stands above everything.
        remarks: Sentences under the title.
        sections: Pictures and tables in order.
    """
    parts = [f"<p>{escape(remark)}</p>" for remark in remarks]
    for section in sections:
        shown = _bars(section) if isinstance(section, Bars) else _table(section)
        parts.append(f'<h2>{escape(section.title)}</h2><div class="scroll">{shown}</div>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def length_bins(counts: Mapping[int, int]) -> dict[str, int]:
    """Counts by power of two as counts by range: 6 becomes ``64–127``; what lies between counts as none."""
    if not counts:
        return {}
    return {_range(power): counts.get(power, 0) for power in range(min(counts), max(counts) + 1)}


def _range(power: int) -> str:
    first, last = 2**power, 2 ** (power + 1) - 1
    return f"{first:,}–{last:,}" if last > first else str(first)


def _bars(section: Bars) -> str:
    shown = dict(section.counts)
    if section.ranked:
        ranked = sorted((pair for pair in shown.items() if pair[1]), key=lambda pair: (-pair[1], pair[0]))
        shown = dict(ranked[:_MOST_BARS])
    if not any(shown.values()):
        return "<p>none</p>"
    longest, total, room = max(shown.values()), sum(section.counts.values()), _WIDTH - _LABEL - _FIGURE
    lines = []
    for number, (name, count) in enumerate(shown.items()):
        top, width = number * (_BAR + _GAP), room * count / longest
        lines.append(
            f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(_short(name))}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{max(width, 1):.1f}" height="{_BAR}"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{top + 14}">{count:,} ({count / total:.1%})</text>'
        )
    height = len(lines) * (_BAR + _GAP)
    label = f"{section.title}: " + ", ".join(f"{name} {count}" for name, count in shown.items())
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(lines)}</svg>'
    )


def _short(name: str) -> str:
    """A name that fits beside its bar; an ideograph is as wide as two letters."""
    ends = list(accumulate(2 if east_asian_width(char) in "WF" else 1 for char in name))
    if not ends or ends[-1] <= _WIDEST_NAME:
        return name
    return name[: bisect_left(ends, _WIDEST_NAME)] + "…"


def _table(section: Rows) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in section.heads)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in section.rows
    )
    return f"<table><tr>{heads}</tr>{rows}</table>"
