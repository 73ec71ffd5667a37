"""What an adapter yields: a conversation that it found, one turn of a conversation, or a row that it had to refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen_pipeline.text.schema import RejectReason, excerpt_of

Message = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation in the file.

    Attributes:
        messages: Pairs of role and content.
        line: Where it begins, 1-based.
        offset: Where it begins, in characters of the decoded text.
        notes: What was odd about it and is worth counting in the report.
    """

    messages: tuple[Message, ...]
    line: int
    offset: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row (or with line 1 perhaps the whole file) that is no example, and why."""

    line: int
    reason: RejectReason
    detail: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation whose every turn has a row of its own; `single_turns` joins them.

    Attributes:
        conversation: What all rows of the conversation have in common.
        said: The turn as `turns` reads it, with ``order`` where the file counts turns or gives their time.
        line: Where it stands, 1-based.
        offset: The same in characters of the decoded text.
        notes: What was odd about it.
    """

    conversation: str
    said: Mapping[str, Any]
    line: int
    offset: int = 0
    notes: tuple[str, ...] = ()


Result = Found | Refused
Row = Result | Turn


def refuse(line: int, reason: RejectReason, detail: str, text: str = "") -> Refused:
    """A refusal with a short excerpt of ``text``."""
    return Refused(line, reason, detail, excerpt_of(text))
