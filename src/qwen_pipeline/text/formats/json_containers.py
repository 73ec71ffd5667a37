"""Objects that hold rows somewhere inside: by split, by category, by number, as in SQuAD."""

from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.formats.field_roles import is_record
from qwen_pipeline.text.formats.record_shapes import pairs_of_object, plain_record

_DEEPEST = 8


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
    if isinstance(value.get("context"), str):  # what its questions are about
        context = {"context": value["context"]}
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
