"""What an adapter yields: a conversation that it found, or a row that it had to refuse."""

from dataclasses import dataclass

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


Row = Found | Refused


def refuse(line: int, reason: RejectReason, detail: str, text: str = "") -> Refused:
    """A refusal with a short excerpt of ``text``."""
    return Refused(line, reason, detail, excerpt_of(text))
