"""JSON in any layout: one object a line, one array, objects over several lines, rows under a key."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from qwen_pipeline.text.formats.answer_lists import are_texts
from qwen_pipeline.text.formats.content import LONGEST_LINE, Content
from qwen_pipeline.text.formats.field_roles import is_record, map_fields
from qwen_pipeline.text.formats.json_broken import COMMENT, drop_trailing_commas
from qwen_pipeline.text.formats.json_values import BadValue, Value, iterate_values
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Refused, Row, refuse
from qwen_pipeline.text.formats.value_rows import is_one_row, rows_of_columns, rows_of_value
from qwen_pipeline.text.schema import RejectReason

_SUFFIXES = (".jsonl", ".json", ".ndjson", ".jsonlines", ".geojson")
LONGEST_TO_PARSE_TWICE = 20_000
MOST_MISSES = 8
LONGEST_GAP = 2000  # characters between two texts of one row, such as names and numbers
_HEAD = 20_000  # characters by which the layout is told
_RETURN = re.compile("\r\n?")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_TEXTS = re.compile(r'\[\s*"(?:[^"\\]|\\.)*"(?:\s*,\s*"(?:[^"\\]|\\.)*")+\s*\]')
_GAP = rf"(?:\s++|{COMMENT})*+"
_OPENING = re.compile(rf"{_GAP}(?:\{{\s*[\"'}}]|\{{\s*$|\[{_GAP}(?:[\[{{\"\]]|$))")


@adapter(*_SUFFIXES, order=20)
def read_json(content: Content) -> Iterator[Row] | None:
    """The rows of a JSON file, or None where the text does not begin like JSON."""
    head = _head_of(content.first_text)
    if not _OPENING.match(head):
        is_lines = content.suffix in _SUFFIXES and _has_whole_objects(head)
        return _read_lines(content) if is_lines else None  # its first line is broken
    return _read_lines(content) if _first_line_is_object(head) else _read_values(content)


def begins_like_json(text: str) -> bool:
    """Whether a file of another name holds JSON: its first line is a whole value, or opens one that goes on."""
    head = _head_of(text)
    if not _OPENING.match(head):
        return False
    first, end, _ = head.lstrip(" \ufeff\t\r\n").partition("\n")
    first = first.strip().rstrip(",")
    if first.endswith(("[", "{")) or (not end and len(text) > _HEAD):
        return True
    return isinstance(_parsed(first), dict | list)


def _head_of(text: str) -> str:
    """The beginning of a text, whose lines end with LF."""
    return _RETURN.sub("\n", text[:_HEAD])


def _parsed(text: str) -> Any:
    """The value that a text is; None where it is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _has_whole_objects(head: str) -> bool:
    """Whether a line behind the first is a whole object that begins at the margin, as records do one a line."""
    return any(line.startswith("{") and isinstance(_parsed(line), dict) for line in head.splitlines()[1:])


def _first_line_is_object(head: str) -> bool:
    """Whether the first line that says something is one whole object, or there is more than one line of them."""
    lines = [line for line in head.splitlines() if line.strip(" \ufeff\t")]
    lines = [line for line in lines if not line.lstrip().startswith(("//", "#"))]
    if not lines:
        return False
    first = lines[0].strip(" \ufeff\t")
    if not first.startswith(("{", "[")) or len(first) < 3:
        return False
    value = _parsed(first.rstrip(", \t"))
    if value is None:
        second = lines[1].strip(" \ufeff\t") if len(lines) > 1 else ""
        opens = first.endswith(("[", "{", ",", ":")) or '"' not in first[1:]
        return first[0] == "{" and second.startswith("{") and not opens
    if are_texts(value) and _are_said_in_turn(head):
        return True
    return is_one_row(value) if isinstance(value, list) else len(lines) > 1 and isinstance(value, dict)


def _are_said_in_turn(head: str) -> bool:
    """Whether the lists of texts are of several lengths, as conversations are (LCCC); rows of a table are all of one."""
    return len({len(_TEXT.findall(found[0])) for found in _TEXTS.finditer(head)}) > 1


def _as_turns(value: Any, in_turn: bool) -> Any:
    return {"messages": value} if in_turn and are_texts(value) and len(value) > 1 else value


def _read_lines(content: Content) -> Iterator[Row]:
    """One object a line; a broken line is reported and the next one goes on."""
    broken = 0
    in_turn = _are_said_in_turn(content.first_text[:_HEAD])
    for line in content.lines():
        text = line.text.strip(" \ufeff\t\u00a0\x00")
        if not text or line.number == broken:
            continue
        try:
            value = _as_turns(_loads(text), in_turn)
        except (ValueError, RecursionError) as error:
            broken = line.number
            detail = f"no valid JSON: {str(error)[:120]}"
            if len(line.text) >= LONGEST_LINE:
                detail = f"a line of more than {LONGEST_LINE // 2**20} million characters"
            yield refuse(line.number, RejectReason.MALFORMED_ROW, detail, text)
            continue
        is_rows = isinstance(value, list) and not is_one_row(value)
        for row_value in value if is_rows else [value]:
            yield from rows_of_value(row_value, line.number, line.offset, content, text)


def _loads(text: str) -> Any:
    """Fast, and a second opinion from the standard library (lone surrogates, NaN, tabs in strings), without commas that trail."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(drop_trailing_commas(text.removesuffix(",")), strict=False)


def _read_values(content: Content) -> Iterator[Row]:
    """Values one after another or inside one array, over any number of lines."""
    count = 0
    in_turn = _are_said_in_turn(content.first_text[:_HEAD])
    for value in iterate_values(content.pieces(), partial(_holds_rows, content)):
        count += 1
        if isinstance(value, BadValue):
            yield refuse(value.line, RejectReason.MALFORMED_ROW, value.detail, value.text)
        else:
            yield from _rows_of_value(replace(value, value=_as_turns(value.value, in_turn)), content)
    if not count:
        yield refuse(1, RejectReason.EMPTY_FILE, "the array is empty")


def _holds_rows(content: Content, names: list[str], key: str, element: Any) -> bool:
    """Whether the list under a key of a broken object is one of rows: the object is none itself, and the list's first element is one."""
    if is_record([*names, key], content.column_map) or "history" in map_fields([key], content.column_map):
        return False
    return any(not isinstance(row, Refused) for row in rows_of_value(element, 1, 0, content, ""))


def _rows_of_value(value: Value, content: Content) -> Iterator[Row]:
    text = value.source if len(value.source) < LONGEST_TO_PARSE_TWICE else ""
    line_of = LineFinder(value.source, value.line, content.column_map).line_of
    yield from rows_of_columns(value.value, value.line, value.offset, content) or rows_of_value(
        value.value, value.line, value.offset, content, text, line_of
    )


class LineFinder:
    """Where the rows inside of a JSON value begin: a parser does not tell, so their texts are looked for, in order."""

    def __init__(self, source: str, line: int, column_map: Mapping[str, str]) -> None:
        """Take the value as it is written, the line where it begins, and the user's columns."""
        self._source, self._at, self._line, self._misses = source, 0, line, 0
        self._column_map = column_map

    def line_of(self, row: Any) -> int:
        """The line of a row's question, or of its first text, behind the rows asked for before; that of the last one found where it is not.

        After some that were not found (texts may be escaped in other ways) no more are looked for: each would cost the whole value.
        """
        texts = _texts_from_question(row, self._column_map) if self._misses < MOST_MISSES else []
        if not texts:
            return self._line
        place, end = self._find(texts[0], len(self._source))
        if place < 0:
            self._misses += 1
            return self._line
        self._line += self._source.count("\n", self._at, place)
        line, self._at, self._misses = self._line, place, 0
        self._go_to(end)
        for text in texts[1:]:  # the next row may say the same: it begins behind all that this one says
            self._go_to(self._find(text, self._at + LONGEST_GAP + 6 * len(text))[1])
        return line

    def _find(self, text: str, limit: int) -> tuple[int, int]:
        """Where a text begins and ends, however its letters are written; twice -1 if it is not there."""
        for written in (json.dumps(text, ensure_ascii=False), json.dumps(text)):
            place = self._source.find(written, self._at, limit)
            if place >= 0:
                return place, place + len(written)
        return -1, -1

    def _go_to(self, place: int) -> None:
        if place >= 0:
            self._line += self._source.count("\n", self._at, place)
            self._at = place


def _texts_from_question(row: Any, column_map: Mapping[str, str]) -> list[str]:
    """The texts of a row that are not empty, from its question on where it has one: what stands before may be shared with other rows."""
    if isinstance(row, dict):
        names = [str(name) for name in row]
        question = map_fields(names, column_map).get("question")
        row = list(row.values())[names.index(question) if question in names else 0 :]
    return [text for text in _texts(row) if text]


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, however deep in lists and objects."""
    if isinstance(value, str):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _texts(child)
