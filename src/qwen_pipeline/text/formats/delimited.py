"""CSV and its relatives: the delimiter and the header are found, columns are named or mapped."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.field_roles import is_record, map_fields
from qwen_pipeline.text.formats.json_lines import begins_like_json
from qwen_pipeline.text.formats.pipe_table import has_pipe_table
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.formats.row_lines import MOST_LINES_OF_A_ROW, SEPARATOR_LINE, RowLines
from qwen_pipeline.text.formats.table_header import (
    MOST_ROWS_ABOVE,
    fault_of_width,
    find_header,
    name_columns,
    names_without_header,
)
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.unreadable import looks_binary

_DELIMITERS = (",", "\t", ";", "|", "，", "；", "^")
_SUFFIXES = (".csv", ".tsv", ".tab")
_ESCAPED_QUOTE = re.compile(r'\\"(?=[^",;|\t\r\n])')
_DOUBLED_QUOTE = re.compile(r'[^\\,;|\t\r\n]""|""[^,;|\t\r\n]')
_LARGEST_FIELD = 2**27
_FEWEST_PAIRS = 2
_ROWS_TO_JUDGE, _LEAST_FILLED = 30, 0.8
_MOST_ABOVE_FEW = 3  # rows above a header with fewer rows below it
_STRAY_QUOTE = "stray_quote"
_ENDLESS = "endless"
_SPACED = re.compile(r'"[,;|]\s+"')
_WHOLE_CELL = re.compile(r'\s*"([^"]*|(?:[^"]*\s)?".*)"\s*', re.DOTALL)
_QUOTED_CELL = re.compile(r'(?:^|[,;|\t])"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is written.

    Attributes:
        delimiter: Between cells.
        header: The header's cells, or the first row's where there is none.
        above: Rows above the header.
        headed: Whether there is a header.
        spaced: Whether a space stands behind the delimiter.
        escaped: Whether a quote inside a cell is written with a backslash, not twice.
    """

    delimiter: str
    header: list[str]
    above: int
    headed: bool
    escaped: bool = False
    spaced: bool = False

    @property
    def dialect(self) -> dict[str, Any]:
        """What the standard library's reader is told; it says so where a quote ends before its cell does."""
        backslash = {"escapechar": "\\", "doublequote": False} if self.escaped else {}
        return {
            "delimiter": self.delimiter,
            "strict": True,
            "skipinitialspace": self.spaced,
            **backslash,
        }


@adapter(*_SUFFIXES, order=50)
def read_delimited(content: Content) -> Iterator[Row] | None:
    """The rows of a table in text, or None where neither the name nor the header says that it is one."""
    if looks_binary(content.head, content.first_text) or begins_like_json(content.first_text):
        return None
    head = content.first_text[:50_000]
    layout = replace(
        _find_layout(head, content.column_map),
        escaped=_escapes_quotes(head),
        spaced=_SPACED.search(head) is not None,
    )
    named = content.suffix in _SUFFIXES
    known = len(layout.header) > 1 and is_record(layout.header, content.column_map)
    if named or (known and not has_pipe_table(head, layout.above) and _is_filled(head, layout)):
        return _read(content, layout)
    if content.suffix == ".txt" and _is_pairs_by_tab(head):
        return _read(content, _Layout("\t", ["question", "answer"], 0, headed=False))
    return None


def _is_filled(head: str, layout: _Layout) -> bool:
    """Whether the rows below a header that is not the first line are its table's: an answer may show such a header too."""
    if not layout.above:
        return True
    rows = _first_rows(
        head.lstrip("\ufeff \t\r\n").splitlines(keepends=True), layout.delimiter, _ROWS_TO_JUDGE
    )
    above, below = (
        [cells for cells in part if any(cells)] for part in (rows[: layout.above], rows[layout.above + 1 :])
    )
    if len(above) > max(_MOST_ABOVE_FEW, len(below)):
        return False
    return sum(len(cells) == len(layout.header) for cells in below) >= _LEAST_FILLED * len(below)


def _escapes_quotes(head: str) -> bool:
    """Whether quotes inside cells have a backslash: such are there, and none is written twice in a cell."""
    is_escaped = _QUOTED_CELL.search(head) and _ESCAPED_QUOTE.search(head)
    return bool(is_escaped) and not _DOUBLED_QUOTE.search(head)


def _find_layout(head: str, column_map: Mapping[str, str]) -> _Layout:
    """The delimiter under which the header makes most sense, and the header."""
    lines = head.splitlines(keepends=True)
    while lines and (not lines[0].strip("\ufeff \t\r\n") or SEPARATOR_LINE.match(lines[0])):
        given = SEPARATOR_LINE.match(lines.pop(0))
        if given:
            return _layout(lines, given[1], column_map)
    return max(
        (_layout(lines, delimiter, column_map) for delimiter in _DELIMITERS),
        key=lambda one: (
            is_record(one.header, column_map),
            len(map_fields(one.header, column_map)),
            one.delimiter in _DELIMITERS[:4],
            len(one.header),
        ),
    )


def _layout(lines: list[str], delimiter: str, column_map: Mapping[str, str]) -> _Layout:
    rows = _first_rows(lines, delimiter)
    at = find_header(rows, column_map)
    first = rows[0] if rows else []
    if at is None:
        return _Layout(delimiter, first, 0, headed=names_without_header(first) is None)
    return _Layout(delimiter, rows[at], at, headed=True)


def _first_rows(lines: list[str], delimiter: str, most: int = MOST_ROWS_ABOVE) -> list[list[str]]:
    rows = islice(csv.reader(lines, delimiter=delimiter), most)
    return [[cell.strip().strip("\ufeff") for cell in cells] for cells in rows]


def _is_pairs_by_tab(head: str) -> bool:
    """Whether every line of the beginning is two texts with one tab between them."""
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    parts = [line.split("\t") for line in lines]
    return len(lines) >= _FEWEST_PAIRS and all(len(two) == 2 and all(map(str.strip, two)) for two in parts)


def _read(content: Content, layout: _Layout) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_FIELD)
    if layout.headed:
        names, notes = name_columns(layout.header)
    else:
        names, notes = names_without_header(layout.header) or ["question", "answer"], ()
    rows, endless, inside = 0, None, 0
    for line, offset, cells, fault in _cut_rows(RowLines(content), layout, len(names)):
        rows += 1
        is_row = fault in ("", _STRAY_QUOTE)
        if endless and not is_row:
            inside += 1  # of a cell whose end was not found; each of its lines is no row of its own
            continue
        if endless:
            yield _refuse_endless(*endless, inside)
            endless = None
        if is_row:
            record, odd = dict(zip(names, cells, strict=True)), (fault,) * bool(fault)
            yield row_of_record(record, line, offset, content.column_map, content.tool_turns, notes + odd)
        elif fault == _ENDLESS:
            endless, inside = (line, cells[0]), 0
        else:
            yield refuse(line, RejectReason.MALFORMED_ROW, fault, layout.delimiter.join(cells)[:500])
    if endless:
        yield _refuse_endless(*endless, inside)
    if not rows:
        yield refuse(1, RejectReason.EMPTY_FILE, "the table has no rows")


def _refuse_endless(line: int, text: str, inside: int) -> Row:
    detail = (
        f"a quote is left open for over {MOST_LINES_OF_A_ROW} lines; the {inside} after it are no rows either"
    )
    return refuse(line, RejectReason.MALFORMED_ROW, detail, text)


def _cut_rows(lines: RowLines, layout: _Layout, count: int) -> Iterator[tuple[int, int, list[str], str]]:
    """Line, offset, cells and fault of each row below the header that is not blank; a stray quote's row has the right cells."""
    reader = csv.reader(lines, **layout.dialect)
    for _ in range(layout.above + layout.headed):
        lines.begin()
        if _next_cells(reader, lines, layout, 0)[1]:
            lines.push_back()
    while True:
        line, offset = lines.begin()
        cells, fault = _next_cells(reader, lines, layout, count)
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        fault = fault or fault_of_width(len(cells), count)
        if fault not in ("", _STRAY_QUOTE) and lines.push_back():
            reader = csv.reader(lines, **layout.dialect)
        yield line, offset, cells, fault


def _next_cells(
    reader: Iterator[list[str]], lines: RowLines, layout: _Layout, count: int
) -> tuple[list[str] | None, str]:
    """The next row's cells, None at the end, and what is odd about its quotes."""
    try:
        return next(reader, None), ""
    except csv.Error:
        first, *more = lines.taken()
    if len(more) == MOST_LINES_OF_A_ROW:
        return [first], _ENDLESS
    is_open = bool(more) or first.count('"') % 2
    for cells in () if is_open else _without_quoting(first, layout):
        if len(cells) == count:
            return cells, _STRAY_QUOTE
    return [first], "a quote is left open, or ends before its cell does"


def _without_quoting(line: str, layout: _Layout) -> Iterator[list[str]]:
    """The cells of a line with quotes in the wrong places: quotes as they stand, then as a forgiving reader takes them."""
    dialect = {**layout.dialect, "strict": False}
    as_it_stands = {"quoting": csv.QUOTE_NONE, "escapechar": None}
    yield [_unquoted(cell) for cell in next(csv.reader([line], **{**dialect, **as_it_stands}), [])]
    yield next(csv.reader([line], **dialect), [])


def _unquoted(cell: str) -> str:
    """A cell without the quotes around all of it; a quotation that only begins it ends behind a word inside."""
    whole = _WHOLE_CELL.fullmatch(cell)
    return whole[1] if whole else cell
