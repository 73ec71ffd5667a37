"""CSV and its relatives: the delimiter and the header are found, columns are named or mapped."""

import csv
import re
from collections.abc import Iterator, Mapping

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.records import is_record, map_fields, row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.unreadable import looks_binary

_DELIMITERS = (",", "\t", ";", "|")
_SEPARATOR_LINE = re.compile(r"\s*sep=(.)\s*$", re.IGNORECASE)
_SENTENCE = re.compile(r"[?？。！!]|.{25}", re.DOTALL)
_LARGEST_FIELD = 2**27


@adapter(".csv", ".tsv", ".tab", order=50)
def read_delimited(content: Content) -> Iterator[Row] | None:
    """The rows of a table in text, or None where neither the name nor the header says that it is one."""
    if looks_binary(content.head, content.first_text):
        return None
    head = content.first_text[:50_000]
    named = content.suffix in (".csv", ".tsv", ".tab")
    delimiter, header = _find_layout(head, content.column_map)
    if not named and not (len(header) > 1 and is_record(header, content.column_map)):
        return None
    return _read(content, delimiter, header)


def _find_layout(head: str, column_map: Mapping[str, str]) -> tuple[str, list[str]]:
    """The delimiter under which the header makes most sense, and the header."""
    lines = head.splitlines(keepends=True)
    while lines and (not lines[0].strip("\ufeff \t\r\n") or _SEPARATOR_LINE.match(lines[0])):
        given = _SEPARATOR_LINE.match(lines.pop(0))
        if given:
            return given[1], _cells(lines, given[1])
    layouts = [(delimiter, _cells(lines, delimiter)) for delimiter in _DELIMITERS]
    return max(
        layouts,
        key=lambda one: (is_record(one[1], column_map), len(map_fields(one[1], column_map)), len(one[1])),
    )


def _cells(lines: list[str], delimiter: str) -> list[str]:
    try:
        return [cell.strip().strip("\ufeff") for cell in next(csv.reader(lines[:1], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _read(content: Content, delimiter: str, header: list[str]) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_FIELD)
    starts = _Starts(content)
    reader = csv.reader(starts, delimiter=delimiter)
    headed = is_record(header, content.column_map) or not _is_data(header)
    names = _distinct(header if headed else ["question", "answer"])
    notes = ("duplicate_column",) if len(set(header)) < len(header) and headed else ()
    if headed:
        starts.skip_header(reader)
    rows = 0
    while True:
        line, offset = starts.begin()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield refuse(line, RejectReason.MALFORMED_ROW, f"no valid row: {error}")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        rows += 1
        if len(cells) != len(names):
            detail = f"{len(cells)} cells where the header has {len(names)}"
            yield refuse(line, RejectReason.MALFORMED_ROW, detail, delimiter.join(cells)[:500])
            continue
        record = dict(zip(names, cells, strict=True))
        yield row_of_record(record, line, offset, content.column_map, content.tool_turns, notes)
    if not rows:
        yield refuse(1, RejectReason.EMPTY_FILE, "the table has no rows")


def _is_data(header: list[str]) -> bool:
    """Whether the first row of a table of two columns is a question and its answer."""
    return len(header) == 2 and all(header) and bool(_SENTENCE.search(header[0] + header[1]))


def _distinct(names: list[str]) -> list[str]:
    """Column names with a number added to a repeated one; the first keeps its name."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return distinct


class _Starts:
    """The lines of a file for the CSV reader, remembering where the next row begins."""

    def __init__(self, content: Content) -> None:
        self._lines = content.lines()
        self._next = next(self._lines, None)
        while self._next is not None and (
            not self._next.text.strip("\ufeff \t") or _SEPARATOR_LINE.match(self._next.text)
        ):
            self._next = next(self._lines, None)

    def __iter__(self) -> "_Starts":
        return self

    def __next__(self) -> str:
        line = self._next
        if line is None:
            raise StopIteration
        self._next = next(self._lines, None)
        text = line.text.lstrip("\ufeff") if line.number == 1 else line.text
        return text.replace("\x00", "") + ("\n" if self._next is not None else "")

    def begin(self) -> tuple[int, int]:
        """Line number and offset where the row begins that is read next."""
        return (self._next.number, self._next.offset) if self._next else (1, 0)

    def skip_header(self, reader: Iterator[list[str]]) -> None:
        """Read the header's row."""
        next(reader, None)
