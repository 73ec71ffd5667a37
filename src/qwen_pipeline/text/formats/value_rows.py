"""The rows that one parsed value holds, whichever format it was written in: an object, a pair, turns, or rows inside it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qwen_pipeline.text.formats.answer_lists import are_texts
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.field_roles import PASSAGES, is_record, map_fields
from qwen_pipeline.text.formats.record_shapes import pairs_of_object, plain_record
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Refused, Row, refuse
from qwen_pipeline.text.formats.turns import are_turns, is_turn
from qwen_pipeline.text.schema import RejectReason

_DEEPEST = 8  # objects and lists inside each other, in which rows are looked for


def rows_of_value(
    value: Any,
    line: int,
    offset: int,
    content: Content,
    text: str,
    line_of: Callable[[Any], int] | None = None,
) -> Iterator[Row]:
    """The row that a value is, or the rows that it holds; a refusal where it is neither.

    Args:
        value: What was parsed.
        line: Where it begins, 1-based.
        offset: The same in characters.
        content: The file, for the user's columns and rules.
        text: The value as it was written, where keys that are written twice are looked for.
        line_of: Where a row inside the value begins; by default where the value does.
    """
    inside = _conversations_of(value, content.column_map)
    are_turns = inside is not None
    if inside is None:
        row = _row(value, line, offset, content, text)
        is_unknown = isinstance(row, Refused) and row.reason == RejectReason.UNKNOWN_FIELDS
        inside = rows_inside(value, content.column_map) if is_unknown and isinstance(value, dict) else None
    if inside is None:
        yield row
        return
    for one in inside:
        given = {"messages": one} if are_turns and isinstance(one, list) else one
        yield _row(given, line_of(one) if line_of else line, offset, content, "")


def _conversations_of(value: Any, column_map: Mapping[str, str]) -> list[Any] | None:
    """The conversations where an object holds a list of them under a name that is also used for turns, as ``conversations``."""
    given = _turns_field(value, column_map)
    if not given:
        return None
    # ChatterBot's corpora name categories beside lists of what two say in turn; pairs alone are one conversation's turns.
    if all(map(are_texts, given)) and ("categories" in value or any(len(one) != 2 for one in given)):
        return given
    if _are_of_several(given, column_map):
        return given
    return given if all(_is_conversation(one, column_map) for one in given) else None


def _are_of_several(turns: Any, column_map: Mapping[str, str]) -> bool:
    """Whether a list holds single turns that name more than one conversation."""
    if not are_turns(turns):
        return False
    fields = (
        map_fields([str(name) for name in turn], column_map).get("conversation_id", "") for turn in turns
    )
    return len({str(turn.get(field)) for field, turn in zip(fields, turns, strict=True)}) > 1


def _is_conversation(value: Any, column_map: Mapping[str, str]) -> bool:
    if isinstance(value, dict) and not is_turn(value):
        return _turns_field(value, column_map) is not None
    return are_turns(value)


def _turns_field(value: Any, column_map: Mapping[str, str]) -> list[Any] | None:
    """The list under the field of an object that should hold turns; None where there is no such list."""
    if not isinstance(value, dict):
        return None
    found = value.get(map_fields([str(name) for name in value], column_map).get("messages"))
    return found if isinstance(found, list) else None


def rows_inside(value: Mapping[str, Any], column_map: Mapping[str, str]) -> list[Any] | None:
    """The rows in an object that is no row itself, in order; None where there is none.

    Every list or object in it is searched. What stands among rows and is none is handed on to be refused, so that it is
    not lost; lists without any row (descriptions of columns) are no rows.
    """
    found: list[Any] = []
    return found if _collect(value, {}, column_map, found, 0) else None


def _collect(
    value: Any, context: Mapping[str, Any], column_map: Mapping[str, str], found: list[Any], depth: int
) -> bool:
    """Add the rows of ``value``; whether there was any."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, Mapping):
        return _collect_object(value, context, column_map, found, depth)
    if not isinstance(value, list):
        return False
    among: list[Any] = []
    any_row = False
    for child in value:
        if _collect(child, context, column_map, among, depth + 1):
            any_row = True
        else:
            among.append(child)
    if any_row:
        found.extend(among)
    return any_row


def _collect_object(
    value: Mapping[str, Any],
    context: Mapping[str, Any],
    column_map: Mapping[str, str],
    found: list[Any],
    depth: int,
) -> bool:
    if is_record([str(name) for name in plain_record(value)], column_map):
        found.append({**context, **value} if context else value)
        return True
    pairs = pairs_of_object(value)
    if pairs:
        found.extend(pairs)
        return True
    passage = next((value[name] for name in PASSAGES if isinstance(value.get(name), str)), None)
    if passage is not None:
        context = {"context": passage}
    parts = [child for name, child in value.items() if not _names_columns(name, child)]
    hits = [_collect(child, context, column_map, found, depth + 1) for child in parts]
    return any(hits)


def _names_columns(name: str, value: Any) -> bool:
    """Whether an object says which column is what, as LLaMA-Factory's dataset_info.json does: that is no row."""
    return (
        name == "columns"
        and isinstance(value, Mapping)
        and all(isinstance(one, str) for one in value.values())
    )


def rows_of_columns(value: Any, line: int, offset: int, content: Content) -> list[Row]:
    """The rows of an object that is a table written column by column; none where it is something else."""
    roles = map_fields([str(name) for name in value], content.column_map) if isinstance(value, dict) else {}
    if not {"question", "answer"} <= roles.keys():
        return []
    records = _records_of_columns(value, [roles["question"], roles["answer"]])
    return [_row(record, line, offset, content, "") for record in records]


def _records_of_columns(value: Mapping[str, Any], keys: list[str]) -> list[dict[str, Any]]:
    """The records of columns that are lists, or objects by row number.

    What stands once beside the columns, such as a system prompt, is said of every row.
    """
    by_number = all(isinstance(value[key], dict) for key in keys)
    cells = {
        name: list(column.values()) if by_number and isinstance(column, dict) else column
        for name, column in value.items()
    }
    count = len(cells[keys[0]]) if isinstance(cells[keys[0]], list) else 0
    columns = {
        name: column for name, column in cells.items() if isinstance(column, list) and len(column) == count
    }
    texts = all(name in columns and all(isinstance(cell, str) for cell in columns[name]) for name in keys)
    if not texts:
        return []
    shared = {name: cell for name, cell in value.items() if isinstance(cell, str | bool | int | float)}
    return [{**shared, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def is_one_row(value: list[Any]) -> bool:
    """Whether a list is one conversation: a question and an answer, or turns, and no list of rows."""
    return _is_pair(value) or (are_turns(value) and not _are_of_several(value, {}))


def _is_pair(value: Any) -> bool:
    return are_texts(value) and len(value) == 2


def _row(value: Any, line: int, offset: int, content: Content, text: str) -> Row:
    if _is_pair(value):
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
    repeated: list[bool] = []
    try:
        json.loads(text, object_pairs_hook=lambda pairs: repeated.append(len(dict(pairs)) < len(pairs)))
    except (ValueError, RecursionError):
        return False
    return any(repeated)
