"""YAML: a list of records read item by item, an object that holds rows, documents one after another.

Every scalar is text, as in the file: ``yes``, ``1.0`` and ``2026-01-01`` are answers and stay what they are. An item that cannot be
parsed, or is no row, is reported and the next one goes on. Where none of the first items is a row, other readers may look at the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from qwen_pipeline.text.formats.content import Content, Line
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Refused, Row, refuse
from qwen_pipeline.text.formats.value_rows import rows_of_columns, rows_of_value
from qwen_pipeline.text.schema import RejectReason

_SUFFIXES = (".yaml", ".yml")
_ITEM = re.compile(r"-(?:[ \t]|$)")
_BLOCK_SCALAR = re.compile(r"^\s*(?:- +)?[^\s#:][^:\n]{0,40}: *[|>][-+0-9]*\s*$", re.MULTILINE)
_LOOKED_AT = 100  # items and documents at the beginning, of which one must be a row
_LARGEST = 16 * 2**20  # characters of one item or object: its parsed form takes about ten times as much
_DEEPEST = 100
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass
class _Chunk:
    """A list's item or a whole document, as lines."""

    line: int
    offset: int
    is_item: bool
    lines: list[str] = field(default_factory=list)
    characters: int = 0

    def add(self, text: str) -> None:
        self.characters += len(text) + 1
        if self.characters <= _LARGEST:
            self.lines.append(text)


@adapter(*_SUFFIXES, order=80)
def read_yaml(content: Content) -> Iterator[Row] | None:
    """The rows of a YAML file, or None where its beginning holds none."""
    named = content.suffix in _SUFFIXES
    if not named and not _BLOCK_SCALAR.search(content.first_text[:20_000]):
        return None
    beginning = islice(_chunks(content.lines()), _LOOKED_AT)
    if all(isinstance(row, Refused) for chunk in beginning for row in _rows(chunk, content)):
        return None
    return (row for chunk in _chunks(content.lines()) for row in _rows(chunk, content))


def _chunks(lines: Iterator[Line]) -> Iterator[_Chunk]:
    """Items of lists and whole other documents; what stands at the left margin tells one from the next."""
    chunk: _Chunk | None = None
    for line in lines:
        text = line.text.lstrip("\ufeff")
        if text.startswith("---") and not text[3:].strip():
            if chunk:
                yield chunk
            chunk = None
            continue
        if chunk is None and (not text.strip() or text.startswith(("#", "%"))):
            continue
        if chunk is None or (chunk.is_item and _ITEM.match(text)):
            if chunk:
                yield chunk
            chunk = _Chunk(line.number, line.offset, bool(_ITEM.match(text)))
        chunk.add(text)
    if chunk:
        yield chunk


def _rows(chunk: _Chunk, content: Content) -> Iterator[Row]:
    text = "\n".join(chunk.lines)
    if chunk.characters > _LARGEST:
        detail = f"an object of {chunk.characters} characters is too large for YAML; write a list of records, or JSON lines"
        yield refuse(chunk.line, RejectReason.MALFORMED_ROW, detail, text[:200])
        return
    places: dict[int, int] = {}
    try:
        value = _parse(text, chunk.line, places)
    except ValueError as error:
        yield refuse(chunk.line, RejectReason.MALFORMED_ROW, f"no valid YAML: {error}", text)
        return
    line = chunk.line
    for one in value if chunk.is_item and isinstance(value, list) else [value]:
        yield from rows_of_columns(one, line, chunk.offset, content) or rows_of_value(
            one, line, chunk.offset, content, "", lambda row: _line_of(row, places) or line
        )


def _line_of(row: Any, places: dict[int, int]) -> int | None:
    """The line of a row; of one that was joined with its context, which is a new object, that of the latest object a text of it is from."""
    if id(row) in places:
        return places[id(row)]
    values = row.values() if isinstance(row, dict) else ()
    return max(
        (places[id(value)] for value in values if isinstance(value, str) and id(value) in places),
        default=None,
    )


def _parse(text: str, first_line: int, places: dict[int, int]) -> Any:
    """The value of a document, all scalars as text; ``places`` gets the line of each object, and for each text that of the object it is in.

    Built from events: libyaml's own composer recurses in C and ends the process on deep nesting.

    Raises:
        ValueError: It is no YAML, nests too deep, or its aliases repeat more than it holds.
    """
    building = _Building(first_line, len(text) + 1, places)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            building.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {first_line + mark.line}" if mark else ""
        raise ValueError(f"{getattr(error, 'problem', None) or 'cannot be parsed'}{where}") from error
    return building.root


@dataclass
class _Open:
    """A list or an object that is being filled."""

    value: Any
    anchor: str | None
    size: int = 1
    key: str | None = None


@dataclass
class _Building:
    """A value as it grows from events.

    Attributes:
        first_line: Where the text begins in its file.
        budget: The most values that it may hold, those behind aliases counted each time.
        places: Receives the line of each object by its id, and for the id of each text that of the object it is in.
        root: The value, once its last event was taken.
    """

    first_line: int
    budget: int
    places: dict[int, int]
    root: Any = None
    _open: list[_Open] = field(default_factory=list)
    _anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            is_null = event.style in (None, "") and event.value in ("", "~", "null")
            # Python has one object for a text of one character
            if self._open and not is_null and len(event.value) > 1:
                self.places[id(event.value)] = self.places[id(self._open[-1].value)]
            self._put(None if is_null else event.value, 1, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"the alias *{event.anchor} stands before its value is complete")
            self._put(*self._anchors[event.anchor], None)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if len(self._open) >= _DEEPEST:
                raise ValueError(f"more than {_DEEPEST} lists or objects inside each other")
            value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            mark = event.start_mark
            self.places[id(value)] = self.first_line + (mark.line if mark else 0)
            self._open.append(_Open(value, event.anchor))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            done = self._open.pop()
            self._put(done.value, done.size, done.anchor)

    def _put(self, value: Any, size: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value, size
        if not self._open:
            self.root = value
            return
        into = self._open[-1]
        into.size += size
        if into.size > self.budget:
            raise ValueError("aliases repeat more than the file holds; write the values out")
        if isinstance(into.value, list):
            into.value.append(value)
        elif into.key is None:
            into.key = str(value)
        elif into.key in into.value:
            raise ValueError(f"the key {into.key[:40]!r} is written twice")
        else:
            into.value[into.key], into.key = value, None
