"""Small charts as SVG text, drawn without anything from outside, so that a page stays one file.

Every name is given in English and in Chinese; the page's style shows one of the two (classes ``en`` and ``zh``).
"""

from collections.abc import Sequence
from html import escape
from math import isfinite

from markupsafe import Markup

Words = tuple[str, str]  # English, Chinese
Points = Sequence[tuple[float, float | None]]
BINS = 12
COLOURS = ("#1f6feb", "#d1242f", "#2e7d32", "#9a6700")
_WIDTH, _HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 10, 12, 34


def line_chart(series: Sequence[tuple[Words, Points]], x_title: Words, y_title: Words) -> Markup:
    """Lines over a common x axis; the y axis begins at zero unless values are negative.

    Args:
        series: A name and its points each; at most four. A point without a finite value is left out.
        x_title: What x is.
        y_title: What y is, with its unit.
    """
    drawn = [(name, [(x, y) for x, y in points if y is not None and isfinite(y)]) for name, points in series]
    xs = [x for _, points in drawn for x, _ in points]
    ys = [y for _, points in drawn for _, y in points]
    if not xs:
        return Markup("")
    x_range, y_range = (min(xs), max(xs)), (min(0.0, *ys), max(ys))
    marks = []
    for (name, points), colour in zip(drawn, COLOURS, strict=False):
        path = " ".join(f"{_x(x, x_range):.1f},{_y(y, y_range):.1f}" for x, y in points)
        shape = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        if len(points) == 1:
            shape = f'<circle cx="{_x(points[0][0], x_range):.1f}" cy="{_y(points[0][1], y_range):.1f}" r="3" fill="{colour}"/>'
        marks.append(f"<g><title>{_both(name)}</title>{shape}</g>")
    return _frame("".join(marks), [name for name, _ in series], x_range, y_range, x_title, y_title)


def histogram(series: Sequence[tuple[Words, Sequence[float]]], x_title: Words, y_title: Words) -> Markup:
    """Bars side by side that count values in `BINS` bins of equal width.

    Args:
        series: A name and its values each; at most four.
        x_title: What is counted.
        y_title: What a count is of.
    """
    values = [value for _, part in series for value in part]
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    width = (high - low) / BINS or 1.0
    counts = [[0] * BINS for _ in series]
    for row, (_, part) in zip(counts, series, strict=True):
        for value in part:
            row[min(BINS - 1, int((value - low) / width))] += 1
    x_range, y_range = (low, low + width * BINS), (0.0, float(max(max(row) for row in counts)))
    bar = (_WIDTH - _LEFT - _RIGHT) / BINS / (len(series) + 0.4)
    marks = [
        f'<rect x="{_x(low + width * at, x_range) + bar * number:.1f}" y="{_y(count, y_range):.1f}" width="{bar:.1f}" '
        f'height="{_y(0, y_range) - _y(count, y_range):.1f}" fill="{COLOURS[number]}"><title>{count}</title></rect>'
        for number, row in enumerate(counts)
        for at, count in enumerate(row)
        if count
    ]
    return _frame("".join(marks), [name for name, _ in series], x_range, y_range, x_title, y_title)


def _frame(
    marks: str,
    names: Sequence[Words],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_title: Words,
    y_title: Words,
) -> Markup:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_both(y_title)}">']
    for step in range(5):
        value = y_range[0] + (y_range[1] - y_range[0]) * step / 4
        y = _y(value, y_range)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for step in range(5):
        value = x_range[0] + (x_range[1] - x_range[0]) * step / 4
        parts.append(
            f'<text x="{_x(value, x_range):.1f}" y="{bottom + 15}" text-anchor="middle">{_short(value)}</text>'
        )
    parts += [
        f'<text class="{language}" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(word)}</text>'
        for language, word in zip(("en", "zh"), x_title, strict=True)
    ]
    parts.append(marks + "</svg>")
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{_spans(name)}</span>'
        for name, colour in zip(names, COLOURS, strict=False)
        if len(names) > 1
    )
    return Markup(f"<figure><figcaption>{_spans(y_title)} {legend}</figcaption>{''.join(parts)}</figure>")


def _spans(words: Words) -> str:
    return "".join(
        f'<span class="{language}">{escape(word)}</span>'
        for language, word in zip(("en", "zh"), words, strict=True)
    )


def _both(words: Words) -> str:
    """Where no style reaches: tooltips and names for readers of the page."""
    return escape(words[0] if words[0] == words[1] else " · ".join(words))


def _x(value: float, bounds: tuple[float, float]) -> float:
    return _LEFT + (value - bounds[0]) / ((bounds[1] - bounds[0]) or 1.0) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, bounds: tuple[float, float]) -> float:
    share = (value - bounds[0]) / ((bounds[1] - bounds[0]) or 1.0)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
