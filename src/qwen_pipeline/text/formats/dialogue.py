"""A dialogue whose lines begin with the speaker: ``User:`` / ``Assistant:``, or names that the user maps."""

import re
from collections.abc import Iterable, Iterator, Mapping

from qwen_pipeline.text.formats.conversation import conversation
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.row import Message, Row

_SPEAKER = re.compile(
    rf"[{EDGES}]*(?:\*\*)?([^\s:：*][^:：*\n]{{0,30}}?)(?:\*\*)?\s*[:：](?:\*\*)?\s*(.*)", re.DOTALL
)
_KNOWN = {
    "user": "user",
    "human": "user",
    "用户": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "人类": "user",
    "助手": "assistant",
    "助理": "assistant",
    "客户": "user",
    "客服": "assistant",
    "system": "system",
}


def dialogue_speakers(lines: Iterable[MarkedLine], named: Mapping[str, str]) -> dict[str, str]:
    """Names to roles, if both a user and an assistant speak in the document; else nothing.

    Args:
        lines: The document's beginning.
        named: Names that the user mapped to ``user`` or ``assistant``.
    """
    speakers = {**_KNOWN, **{name.lower(): role for name, role in named.items()}}
    roles = set()
    for line in lines:
        if not line.fenced and (found := _SPEAKER.match(line.text[:200])):
            roles.add(speakers.get(found[1].strip().lower(), ""))
    return speakers if {"user", "assistant"} <= roles else {}


def read_dialogue(lines: Iterable[MarkedLine], speakers: Mapping[str, str]) -> Iterator[Row]:
    """The document as one conversation."""
    turns: list[tuple[str, list[str]]] = []
    first: MarkedLine | None = None
    for line in lines:
        found = None if line.fenced else _SPEAKER.match(line.text)
        role = speakers.get(found[1].strip().lower()) if found else None
        if found and role:
            first = first or line
            turns.append((role, [found[2]]))
        elif turns:
            turns[-1][1].append(line.text)
    if first is not None:
        tidy: list[Message] = [(role, "\n".join(texts).strip(EDGES + "\n")) for role, texts in turns]
        yield conversation(tidy, first.number, first.offset)
