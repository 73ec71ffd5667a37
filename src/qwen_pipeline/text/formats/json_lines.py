"""JSON in any layout: one object a line, one array, objects over several lines, rows under a key."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.json_containers import rows_inside
from qwen_pipeline.text.formats.json_values import BadValue, Value, drop_trailing_commas, iterate_values
from qwen_pipeline.text.formats.records import is_record, map_fields, row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Refused, Row, refuse
from qwen_pipeline.text.formats.turns import is_turn
from qwen_pipeline.text.schema import RejectReason

_OPENING = re.compile(r"\s*(?:(?://|#)[^\n]*\n\s*)*(?:\{\s*[\"'}]|\{\s*$|\[\s*[\[{\"\]]|\[\s*$)")


@adapter(".jsonl", ".json", ".ndjson", ".jsonlines", ".geojson", order=20)
def read_json(content: Content) -> Iterator[Row] | None:
    """The rows of a JSON file, or None where the text does not begin like JSON."""
    head = content.first_text[:20_000]
    if not _OPENING.match(head):
        return None
    return _read_lines(content) if _first_line_is_object(head) else _read_values(content)


def _first_line_is_object(head: str) -> bool:
    """Whether the first line that says something is one whole object, or there is more than one line of them."""
    lines = [line for line in head.splitlines() if line.strip(" \ufeff\t")]
    lines = [line for line in lines if not line.lstrip().startswith(("//", "#"))]
    if not lines:
        return False
    first = lines[0].strip(" \ufeff\t")
    if not first.startswith(("{", "[")) or len(first) < 3:
        return False
    try:
        value = orjson.loads(first)
    except orjson.JSONDecodeError:
        return first[0] == "{" and len(lines) > 1 and lines[1].strip(" \ufeff\t").startswith("{")
    return len(lines) > 1 and (isinstance(value, dict) or _is_one_row(value))


def _read_lines(content: Content) -> Iterator[Row]:
    """One object a line; a broken line is reported and the next one goes on."""
    for line in content.lines():
        text = line.text.strip(" \ufeff\t\u00a0\x00")
        if not text:
            continue
        try:
            value = _loads(text)
        except (ValueError, RecursionError) as error:
            detail = f"no valid JSON: {str(error)[:120]}"
            yield refuse(line.number, RejectReason.MALFORMED_ROW, detail, text)
            continue
        is_rows = isinstance(value, list) and not _is_one_row(value)
        for row_value in value if is_rows else [value]:
            yield from _rows(row_value, line.number, line.offset, content, text)


def _loads(text: str) -> Any:
    """Fast, and a second opinion from the standard library (lone surrogates, NaN), without commas that trail."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(drop_trailing_commas(text))


def _read_values(content: Content) -> Iterator[Row]:
    """Values one after another or inside one array, over any number of lines."""
    count = 0
    for value in iterate_values(content.pieces()):
        count += 1
        if isinstance(value, BadValue):
            yield refuse(value.line, RejectReason.MALFORMED_ROW, value.detail, value.text)
        else:
            yield from _rows_of_value(value, content)
    if not count:
        yield refuse(1, RejectReason.EMPTY_FILE, "the array is empty")


def _rows_of_value(value: Value, content: Content) -> Iterator[Row]:
    columns = _columns(value.value, content) if isinstance(value.value, dict) else None
    if columns is None:
        yield from _rows(value.value, value.line, value.offset, content, value.text)
        return
    for row in columns:
        yield _row(row, value.line, value.offset, content, "")


def _rows(value: Any, line: int, offset: int, content: Content, text: str) -> Iterator[Row]:
    """The row that a value is, or the rows that it holds; a refusal where it is neither."""
    row = _row(value, line, offset, content, text)
    is_unknown = isinstance(row, Refused) and row.reason == RejectReason.UNKNOWN_FIELDS
    inside = rows_inside(value, content.column_map) if is_unknown and isinstance(value, dict) else None
    if inside is None:
        yield row
        return
    for one in inside:
        yield _row(one, line, offset, content, "")


def _columns(value: Mapping[str, Any], content: Content) -> list[Any] | None:
    """The rows of an object that is a table by columns."""
    names = [str(name) for name in value]
    if not is_record(names, content.column_map):
        return None
    roles = map_fields(names, content.column_map)
    return _rows_of_columns(value, [roles[role] for role in ("question", "answer") if role in roles])


def _rows_of_columns(value: Mapping[str, Any], keys: list[str]) -> list[Any] | None:
    """The rows of a table that is written column by column, as lists or as objects by row number."""
    columns = [value[key] for key in keys]
    if len(columns) == 2 and all(isinstance(column, dict) for column in columns):
        columns = [list(column.values()) for column in columns]
    texts = len(columns) == 2 and all(
        isinstance(column, list) and all(isinstance(cell, str) for cell in column) for column in columns
    )
    if not texts or len(columns[0]) != len(columns[1]) or not columns[0]:
        return None
    return [dict(zip(keys, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _is_one_row(value: list[Any]) -> bool:
    """Whether a list is one conversation: a question and an answer, or turns, and no list of rows."""
    if len(value) == 2 and all(isinstance(part, str) for part in value):
        return True
    return bool(value) and all(isinstance(part, dict) and is_turn(part) for part in value)


def _row(value: Any, line: int, offset: int, content: Content, text: str) -> Row:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        value = {"question": value[0], "answer": value[1]}
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        value = {"messages": value}
    if not isinstance(value, dict):
        detail = f"a {type(value).__name__} stands where an object is expected"
        return refuse(line, RejectReason.MALFORMED_ROW, detail, text or str(value)[:200])
    notes = ("duplicate_key",) if text and _repeats_key(value, text) else ()
    return row_of_record(value, line, offset, content.column_map, content.tool_turns, notes)


def _repeats_key(value: Mapping[str, Any], text: str) -> bool:
    """Whether a key of the object is written twice; the last one counts, as in every JSON reader."""
    if sum(text.count(f'"{key}"') for key in value) <= len(value):
        return False
    repeated = False

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        made = dict(pairs)
        repeated = repeated or len(made) < len(pairs)
        return made

    try:
        json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return False
    return repeated
