"""Markdown tables whose columns are the questions and the answers."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from qwen_pipeline.text.formats.field_roles import is_record
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.formats.table_header import fault_of_width, name_columns
from qwen_pipeline.text.schema import RejectReason

_BAR = re.compile(r"(?<!\\)\|")
_BREAK = re.compile(r"[ \t]*<br\s*/?>[ \t]*", re.IGNORECASE)
_RULE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")


def has_pipe_table(text: str, above: int = 0) -> bool:
    """Whether a Markdown table's header with its rule under it begins a text, below so many lines."""
    lines = text.lstrip("\ufeff \t\r\n").splitlines()[above : above + 2]
    return len(lines) > 1 and "|" in lines[0] and _RULE.fullmatch(lines[1].strip()) is not None


def table_reader(
    head: list[MarkedLine], column_map: Mapping[str, str], tool_turns: str
) -> Callable[[Iterable[MarkedLine]], Iterator[Row]] | None:
    """A reader of the document's tables, or None where no table's header names a question and an answer."""
    if not any(_is_header(one, two, column_map) for one, two in pairwise(head)):
        return None
    return lambda lines: _read(lines, column_map, tool_turns)


def _is_header(line: MarkedLine, below: MarkedLine, column_map: Mapping[str, str]) -> bool:
    is_table = not line.fenced and "|" in line.text and _RULE.fullmatch(below.text.strip()) is not None
    return is_table and is_record(_cells(line.text), column_map)


def _read(lines: Iterable[MarkedLine], column_map: Mapping[str, str], tool_turns: str) -> Iterator[Row]:
    before: MarkedLine | None = None
    names, notes = list[str](), tuple[str, ...]()
    for line in lines:
        if before is not None and _is_header(before, line, column_map):
            names, notes = name_columns(_cells(before.text))
        elif line.fenced or "|" not in line.text:
            names = []
        elif names:
            cells = _cells(line.text)
            if fault := fault_of_width(len(cells), len(names)):
                yield refuse(line.number, RejectReason.MALFORMED_ROW, fault, line.text)
            else:
                record = dict(zip(names, cells, strict=True))
                yield row_of_record(record, line.number, line.offset, column_map, tool_turns, notes)
        before = line


def _cells(text: str) -> list[str]:
    inner = text.strip(EDGES).removeprefix("|").removesuffix("|")
    return [_cell(cell.strip(EDGES)) for cell in _BAR.split(inner)]


def _cell(text: str) -> str:
    """A cell's text; a row is one line, so that only tags can break lines in it (in code they are text)."""
    text = text.replace("\\|", "|")
    return text if "`" in text else _BREAK.sub("\n", text)
