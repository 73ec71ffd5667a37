"""Plain text in which conversations stand as a chat template writes them: ChatML, or Vicuna with its turns on one line."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from qwen_pipeline.text.formats.marked_lines import MarkedLine
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Row
from qwen_pipeline.text.formats.transcript import INLINE_ASSISTANT, turns_of_transcript

_CHATML = re.compile(r"\s*<\|im_start\|>\s*(\w+)\s*$")
_END_OF_TEXT = "<|endoftext|>"
_END_OF_ANSWER = "</s>"

Begins = Callable[
    [MarkedLine, MarkedLine], bool
]  # whether a line, given the one before it, begins a conversation


def are_templated(head: list[MarkedLine]) -> bool:
    """Whether the document's first line is such a template's."""
    first = next((line.text for line in head if not line.blank), "")
    return bool(_CHATML.match(first)) or _is_vicuna(first)


def read_templated(lines: Iterable[MarkedLine], head: list[MarkedLine], tool_turns: str) -> Iterator[Row]:
    """A row for every conversation.

    Args:
        lines: All lines.
        head: The first of them, which tell the template and whether blank lines stand between turns too.
        tool_turns: ``refuse``, ``drop`` or ``keep``.
    """
    first = next(line.text for line in head if not line.blank)
    begins = _begins_vicuna if _is_vicuna(first) else _begins_chatml(head)
    held: list[MarkedLine] = []
    for line in lines:
        if held and begins(line, held[-1]):
            yield from _row(held, tool_turns)
            held = []
        held.append(line)
    yield from _row(held, tool_turns)


def _is_vicuna(text: str) -> bool:
    return INLINE_ASSISTANT.search(text) is not None


def _begins_vicuna(line: MarkedLine, before: MarkedLine) -> bool:
    """A turn of the user on a new line, or any text behind the mark of an answer's end."""
    is_behind_end = before.text.rstrip().endswith(_END_OF_ANSWER)
    return not line.blank and (is_behind_end or line.text.startswith(("USER:", "<s>")))


def _begins_chatml(head: list[MarkedLine]) -> Begins:
    """A system text, a turn behind the end of a text, or a user's turn below a blank line where answers have none above them."""
    are_spaced = any(before.blank and _role(line) == "assistant" for before, line in pairwise(head))

    def begins(line: MarkedLine, before: MarkedLine) -> bool:
        role = _role(line)
        is_apart = before.blank and not are_spaced
        return (
            role == "system" or (bool(role) and _END_OF_TEXT in before.text) or (role == "user" and is_apart)
        )

    return begins


def _role(line: MarkedLine) -> str:
    """The role whose turn a line of ChatML begins; empty for any other line."""
    found = _CHATML.match(line.text)
    return found[1] if found else ""


def _row(lines: list[MarkedLine], tool_turns: str) -> Iterator[Row]:
    first = next((line for line in lines if not line.blank), None)
    if first is not None:
        text = "\n".join(line.text for line in lines).replace(_END_OF_TEXT, "")
        turns = turns_of_transcript(text) or [{"role": "user", "content": text.strip()}]
        yield row_of_record({"messages": turns}, first.number, first.offset, {}, tool_turns)
