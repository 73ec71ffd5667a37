"""Where lists of rows begin inside of a JSON object that cannot be parsed as a whole."""

import json
import re
from collections.abc import Callable
from typing import Any

_LIST_OF_OBJECTS = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*(?=\{)')
LONGEST_HEAD = 20_000  # characters that stand in an object before a list of rows
_DEEPEST = 4
HoldsRows = Callable[[list[str], str, Any], bool]  # the names before the list, its key, its first element


def next_list(text: str, at: int) -> int | None:
    """Where the first element of the next list of objects begins, or None."""
    found = _LIST_OF_OBJECTS.search(text, at, at + LONGEST_HEAD)
    return found.end() if found else None


def first_list(text: str, at: int, wrong_at: int, holds_rows: HoldsRows) -> int | None:
    """Where the rows of a broken object begin, if its beginning is whole up to them and its first row is whole, or None.

    Args:
        text: The text held.
        at: Where the object begins.
        wrong_at: Where it is broken.
        holds_rows: Tells whether the list under a key is one of rows.
    """
    found = _LIST_OF_OBJECTS.search(text, at, min(wrong_at, at + LONGEST_HEAD))
    if not found:
        return None
    names = _names_before(text[at : found.start()])
    try:
        element, _ = json.JSONDecoder().raw_decode(text, found.end())
    except (ValueError, RecursionError):
        return None
    return found.end() if names is not None and holds_rows(names, found[1], element) else None


def _names_before(head: str) -> list[str] | None:
    """The keys of the objects that are open at the end of ``head``; None where it is no beginning of an object."""
    for depth in range(1, _DEEPEST + 1):
        try:
            value = json.loads(head.rstrip(" ,\t\r\n") + "}" * depth)
        except (ValueError, RecursionError):
            continue
        names: list[str] = []
        for _ in range(depth):
            names += value
            value = next(reversed(value.values()), {})
        return names
    return None
