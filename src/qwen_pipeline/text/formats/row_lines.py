"""The lines of a table for the CSV reader: where a row begins, and what it took if it turns out to be no row."""

import re

from qwen_pipeline.text.formats.content import Content, Line

SEPARATOR_LINE = re.compile(r"\s*sep=(.)\s*$", re.IGNORECASE)
MOST_LINES_OF_A_ROW = 5000
# A quote left open makes the reader take lines that it has to give back. Without a bound, a file of such quotes would
# be read thousands of times over; so every line that stays read allows for some more to be given back.
_MOST_LINES_TO_GIVE_BACK = 4 * MOST_LINES_OF_A_ROW
_LINES_TO_GIVE_BACK_FOR_A_LINE = 20


class RowLines:
    """The lines of a file, remembering where the next row begins and what the last one took."""

    def __init__(self, content: Content) -> None:
        self._lines = content.lines()
        self._pushed: list[Line] = []
        self._taken: list[Line] = []
        self._may_give_back = _MOST_LINES_TO_GIVE_BACK
        self._next = next(self._lines, None)
        while self._next is not None and (
            not self._next.text.strip("\ufeff \t") or SEPARATOR_LINE.match(self._next.text)
        ):
            self._next = next(self._lines, None)

    def __iter__(self) -> "RowLines":
        return self

    def __next__(self) -> str:
        line = self._next
        if line is None or len(self._taken) > min(MOST_LINES_OF_A_ROW, self._may_give_back):
            raise StopIteration
        self._taken.append(line)
        self._next = self._pushed.pop() if self._pushed else next(self._lines, None)
        return line.text.replace("\x00", "") + ("\n" if self._next is not None else "")

    def begin(self) -> tuple[int, int]:
        """Line number and offset where the row begins that is read next."""
        allowed = self._may_give_back + _LINES_TO_GIVE_BACK_FOR_A_LINE * len(self._taken)
        self._may_give_back = min(allowed, _MOST_LINES_TO_GIVE_BACK)
        self._taken.clear()
        return (self._next.number, self._next.offset) if self._next else (1, 0)

    def taken(self) -> list[str]:
        """The texts of the last row's lines."""
        return [line.text for line in self._taken]

    def push_back(self) -> bool:
        """Give back all lines of the last row but its first, if it had more: a stray quote joined them."""
        if len(self._taken) < 2:
            return False
        rest = self._taken[1:] + ([self._next] if self._next is not None else [])
        self._may_give_back -= len(self._taken) - 1
        del self._taken[1:]
        self._pushed.extend(reversed(rest))
        self._next = self._pushed.pop()
        return True
