"""JSON that is wrong: commas that trail, where a broken record ends, and where rows begin in an object that cannot be parsed as a whole."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

COMMENT = r"(?://|#)[^\n]*+\n?|/\*(?:[^*]++|\*(?!/))*+\*/"
# A string that is never closed counts too: commas in it stay, and it is not read anew from each quote in it. None goes over a line end.
_STRING = r'"(?:[^"\\\n]++|\\[^\n])*+"?'
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}}]|,(?=\s*[}}\]])")
_AT_TRAILING_COMMA = re.compile(r",\s*[}\]]")
_BRACKET = re.compile(r"[\[\]{}]")
_AFTER_ELEMENT = re.compile(r"\s*+,?\s*+(?=\{\s*+[\"']|\]|\Z)")
_AFTER_VALUE = re.compile(r"\s*+,?\s*+(?=\{\s*+[\"']|\Z)")
_LONGEST_INDENT = 64
_LIST_OF_OBJECTS = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*(?=\{)')
LONGEST_HEAD = 20_000  # characters that stand in an object before a list of rows
HoldsRows = Callable[[list[str], str, Any], bool]  # the names before the list, its key, its first element


def drop_trailing_commas(text: str) -> str:
    """The text with a space for each comma before a closing bracket, outside of strings; as long as before."""
    return _TOKEN.sub(lambda found: " " if found[0] == "," else found[0], text)


def is_trailing_comma(error: json.JSONDecodeError, start: int) -> bool:
    """Whether a comma before a closing bracket, outside of strings, is what is wrong with the value that begins at ``start``."""
    comma = error.doc.rfind(",", start, error.pos + 1)
    found = _AT_TRAILING_COMMA.match(error.doc, comma) if comma >= 0 else None
    return found is not None and found.end() >= error.pos


def without_trailing_commas(text: str, start: int) -> str | None:
    """The value that begins at ``start`` with a space for each trailing comma, or None where it has no end."""
    parts, kept, depth = [], start, 0
    for token in _TOKEN.finditer(text, start):
        mark = text[token.start()]
        depth += (mark in "{[") - (mark in "}]")
        if mark == ",":
            parts += [text[kept : token.start()], " "]
            kept = token.end()
        elif not depth:
            return "".join([*parts, text[kept : token.end()]])
    return None


def indent_before(text: str, at: int) -> str | None:
    """What stands before a value in its line, or None if that is more than white space."""
    first = max(at - _LONGEST_INDENT, 0)
    start = max(text.rfind("\n", first, at) + 1, first)
    indent = text[start:at]
    return indent if len(indent) < _LONGEST_INDENT and not indent.strip(" \t") else None


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is no JSON.

    Attributes:
        text: What it is part of.
        start: Where it begins.
        error: Where it is wrong; up to there it is JSON.
        limit: How far its end is looked for.
    """

    text: str
    start: int
    error: int
    limit: int

    def end_by_depth(self, in_array: bool) -> int | None:
        """Where as many brackets are closed as were open at the error, if what a record is followed by comes there.

        Up to the error a bracket in a string is none; from there on nobody can tell, and all count.
        """
        depth = _depth(self.text, self.start, self.error)
        if depth <= 0:
            return None
        for found in _BRACKET.finditer(self.text, self.error, self.limit):
            depth += 1 if found[0] in "{[" else -1
            if not depth:
                after = (_AFTER_ELEMENT if in_array else _AFTER_VALUE).match(self.text, found.end())
                return after.end() if after else None
        return None

    def end_by_indent(self, indent: str | None) -> int | None:
        """Where a line opens an object at the indent of the broken one, which is None where that does not begin its line."""
        if indent is None:
            return None
        found = re.compile(rf"\n{indent}(?=\{{\s*+[\"'])").search(self.text, self.error, self.limit)
        return found.end() if found else None


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
    depth = _depth(head, 0, len(head))
    try:
        value = json.loads(head.rstrip(" ,\t\r\n") + "}" * depth)
    except (ValueError, RecursionError):
        return None
    names: list[str] = []
    for _ in range(depth):
        names += value
        value = next(reversed(value.values()), {})
    return names


def _depth(text: str, start: int, end: int) -> int:
    """How many brackets are open at ``end`` of those since ``start``; one in a string is none."""
    marks = [text[found.start()] for found in _TOKEN.finditer(text, start, end)]
    return sum((mark in "{[") - (mark in "}]") for mark in marks)
