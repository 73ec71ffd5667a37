"""JSON values out of a stream of text, one after another, with the line where each begins."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from qwen_pipeline.text.formats import json_broken
from qwen_pipeline.text.formats.json_broken import LONGEST_HEAD, Broken, HoldsRows, first_list, next_list

_SPACE = re.compile(rf"(?:[\s,\ufeff\x00]++|{json_broken.COMMENT})++")
_NEXT_OBJECT = re.compile(r"\}\s*+,?\s*+(?=\{\s*+[\"'])")  # possessive: a long gap is gone through once
_LONE_RETURN = re.compile(r"\r(?!\n)")  # CRLF stays: offsets count the characters of the file
_EXCERPT = 200
_LONGEST_VALUE = 64 * 2**20
_LONGEST_BROKEN = 2**20  # characters within which a broken record's own end is looked for
_LONGEST_SOURCE = 16 * 2**20
_MOST_READ = 128 * 2**10  # characters held although they were read: an error counts their lines
_LONGEST_SEAM = 64  # characters between two objects, where a piece of the text may end
_MOST_LOOKS = 8  # times the text that all looks ahead in vain may cost


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value; ``source`` is how it is written, where that is short enough to look at twice."""

    value: Any
    line: int
    offset: int
    source: str


@dataclass(frozen=True, slots=True)
class BadValue:
    """A stretch that is no JSON."""

    line: int
    detail: str
    text: str


def iterate_values(pieces: Iterator[str], holds_rows: HoldsRows) -> Iterator[Value | BadValue]:
    """The elements of a top-level array, or the top-level values one after another.

    A trailing comma is forgiven; after a stretch that is no JSON, reading goes on at the next object. Of an object that is too long to
    be held the elements of the lists of objects under its keys come, one by one; of one that is broken those of lists of rows.

    Args:
        pieces: The text.
        holds_rows: Tells of a broken object whether its list under a key is one of rows.
    """
    stream = _Stream(pieces, holds_rows)
    stream.skip_space()
    if stream.take("["):
        stream.in_array = True
    while True:
        stream.skip_space()
        if stream.ended:
            if stream.in_array and not stream.closed:
                yield BadValue(stream.line, "the array is cut off before its end", "")
            return
        if stream.in_array and stream.take("]"):
            stream.closed, stream.in_array = True, False
            stream.leave_list()
            continue
        yield stream.next_value()


class _Stream:
    """The text that is not yet consumed; it grows only while a value is incomplete."""

    def __init__(self, pieces: Iterator[str], holds_rows: HoldsRows) -> None:
        self._pieces, self._holds_rows = pieces, holds_rows
        self._text = ""
        self._at = 0
        self._offset = 0
        self._decoder = json.JSONDecoder()
        self.line = 1
        self.in_array = False
        self.closed = False
        self._in_object = False
        self._looked_in_vain = 0  # characters
        self._indent: str | None = None
        self._is_first = True

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._text) and not self._more()

    def skip_space(self) -> None:
        """Go to the next character that belongs to a value."""
        while True:
            if found := _SPACE.match(self._text, self._at):
                self._advance(found.end())
            if self._at < len(self._text) or not self._more():
                return

    def take(self, mark: str) -> bool:
        """Consume one character if it is ``mark``."""
        if self._text[self._at : self._at + 1] != mark:
            return False
        self._advance(self._at + 1)
        return True

    def next_value(self) -> Value | BadValue:
        """The value that begins here, or the stretch up to the next object if it is none."""
        self._indent = json_broken.indent_before(self._text, self._at)
        while True:
            try:
                return self._decode()
            except (ValueError, RecursionError) as error:
                is_short = len(self._text) - self._at < _LONGEST_VALUE
                if is_short and self._more():  # it may be cut off
                    continue
                if self._enter_object(error):
                    return self.next_value()
                return self._bad(error)

    def _decode(self) -> Value:
        start, text = self._at, self._text
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            if (lenient := self._with_line_ends(error)) is not None:
                return self._made(lenient[0], text, start, lenient[1])
            repaired = self._without_trailing_commas(error)
            if repaired is None:
                raise
            try:
                value, end = self._decoder.raw_decode(repaired)
            except json.JSONDecodeError as other:
                raise json.JSONDecodeError(other.msg, text, start + other.pos) from error
            made = self._made(value, repaired, 0, end)
            self._forget_read()
            return made
        return self._made(value, text, start, end)

    def _made(self, value: Any, text: str, start: int, end: int) -> Value:
        source = text[start:end] if end - start < _LONGEST_SOURCE else ""
        made = Value(value, self.line, self._offset + self._at, source)
        self._advance(self._at + end - start)
        self._is_first = False
        return made

    def leave_list(self) -> None:
        """Behind a list in an object that was entered: go to its next list, or past its end."""
        if not self._in_object:
            return
        self.skip_space()
        while len(self._text) - self._at < LONGEST_HEAD and self._more():
            pass
        if (start := next_list(self._text, self._at)) is not None:
            self._advance(start)
            self.in_array, self.closed = True, False
            return
        while self.take("}"):
            self._in_object = False
            self.skip_space()

    def _enter_object(self, error: Exception) -> bool:
        """Where the first object is broken, or has no end within the text held: go to its first list of rows."""
        if len(self._text) - self._at >= _LONGEST_VALUE and not self._in_object:
            start = next_list(self._text, self._at)
        elif self._is_first and not self.in_array and isinstance(error, json.JSONDecodeError):
            start = first_list(self._text, self._at, error.pos, self._holds_rows)
        else:
            return False
        if start is not None:
            self._advance(start)
            self.in_array = self._in_object = True
        return start is not None

    def _with_line_ends(self, error: json.JSONDecodeError) -> tuple[Any, int] | None:
        """The value that begins here and its end, if line ends or tabs that stand in its strings as they are make all that is wrong."""
        if not error.msg.startswith("Invalid control character") or not self._may_look_ahead():
            return None
        try:
            return json.JSONDecoder(strict=False).raw_decode(self._text, self._at)
        except json.JSONDecodeError as other:  # a quote is missing
            self._looked_in_vain += other.pos - self._at
            return None

    def _without_trailing_commas(self, error: json.JSONDecodeError) -> str | None:
        """The value that begins here with a space for each trailing comma, if such a comma is what is wrong and the value has an end.

        Only this value is looked at: behind one whose quotes are wrong nobody could tell what is inside of a string.
        """
        if not json_broken.is_trailing_comma(error, self._at) or not self._may_look_ahead():
            return None
        repaired = json_broken.without_trailing_commas(self._text, self._at)
        if repaired is None:
            self._looked_in_vain += len(self._text) - self._at
        return repaired

    def _may_look_ahead(self) -> bool:
        """Whether looks ahead that found nothing cost little so far: time stays in proportion to the text."""
        return self._looked_in_vain <= _MOST_LOOKS * (self._offset + len(self._text))

    def _bad(self, error: Exception) -> BadValue:
        line, excerpt = self.line, self._text[self._at : self._at + _EXCERPT]
        at, why = self._at, str(error)[:80]
        if isinstance(error, json.JSONDecodeError):
            at, why = error.pos, error.msg
        wrong_after = at - self._at
        detail = f"no valid JSON (line {line + self._text.count(chr(10), self._at, at)}): {why}"
        if len(self._text) - self._at >= _LONGEST_VALUE:
            detail = f"no end within {_LONGEST_VALUE // 2**20} million characters: {why}"
        if not self._skip_broken_record(wrong_after):
            self._skip_to_next_object(self._at + max(wrong_after - 1, 0))
        self._forget_read()
        self._is_first = False
        return BadValue(line, detail, excerpt)

    def _forget_read(self) -> None:
        """Let go of the text that was read, where it is so long that each error would take time for it."""
        if self._at > _MOST_READ:
            self._offset += self._at
            self._text, self._at = self._text[self._at :], 0

    def _skip_broken_record(self, wrong_after: int) -> bool:
        """Go behind the whole of a record that is wrong after so many characters, so that no object in it is taken for a row, if its end is found."""
        while len(self._text) - self._at < _LONGEST_BROKEN and self._more():
            pass
        error = self._at + wrong_after
        broken = Broken(self._text, self._at, error, error + _LONGEST_BROKEN)
        ways = (partial(broken.end_by_depth, self.in_array), partial(broken.end_by_indent, self._indent))
        for find in ways:
            if not self._may_look_ahead():
                return False
            end = find()
            # a text that is one broken object as a whole is no record: there are rows inside of it
            if end is not None and not (self._is_first and not self.in_array and end == len(self._text)):
                self._advance(end)
                return True
            self._looked_in_vain += min(len(self._text), broken.limit) - self._at
        return False

    def _skip_to_next_object(self, start: int) -> None:
        """Go behind the end of an object that another one follows, wherever that is, or to the end of the text."""
        while not (found := _NEXT_OBJECT.search(self._text, start)):
            self._advance(max(len(self._text) - _LONGEST_SEAM, start))
            if not self._more():
                self.closed = True
                break
            start = self._at
        self._advance(found.end() if found else len(self._text))

    def _advance(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._offset += self._at
        self._text, self._at = self._text[self._at :] + _LONE_RETURN.sub("\n", piece), 0
        return True
