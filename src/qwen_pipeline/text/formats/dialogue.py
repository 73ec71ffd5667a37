"""A dialogue whose lines begin with the speaker: ``User:`` / ``Assistant:``, or names that the user maps."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from qwen_pipeline.text.formats.conversation import conversation
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.row import Message, Row
from qwen_pipeline.text.formats.speakers import SPEAKERS, how_to_name

_SPEAKER = re.compile(
    rf"[{EDGES}]*(?:\*\*)?([^\s:：*][^:：*\n]{{0,30}}?)(?:\*\*)?\s*[:：](?:\*\*)?\s*(.*)", re.DOTALL
)
# As chat programs write it before or behind the name, with the text on the same line or under it.
_TIME = r"(?:[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?[T, ]*)?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_STAMP = re.compile(rf"[{EDGES}]*[\[(（【]?{_TIME}[\])）】]?[,，{EDGES}]*")
_STAMPED_NAME = re.compile(rf"[{EDGES}]*(\S[^:：\n]{{0,30}}?)(?:[(（<][^()（）<>]{{1,40}}[)）>])?[{EDGES}]*")
_NAME_BEFORE_STAMP = re.compile(rf"{_STAMPED_NAME.pattern}[\[(（【]?{_TIME}[\])）】]?[{EDGES}]*")
_KNOWN = SPEAKERS | {
    "you": "user", "you said": "user", "你说": "user", "chatgpt said": "assistant", "chatgpt 说": "assistant",
}  # fmt: skip
_ROLES = ("user", "assistant")
_LEAST_SHARE = 0.5
_FEWEST_SPEAKERS, _MOST_SPEAKERS = 2, 4
# Titles of ordinary sections too: such a heading begins no turn.
_SECTIONS = frozenset((
    "客户", "顾客", "访客", "患者", "病人", "customer", "patient", "客服", "医生", "agent", "doctor", "system", "ai", "bot",
))  # fmt: skip


def dialogue_speakers(lines: Iterable[MarkedLine], named: Mapping[str, str]) -> dict[str, str]:
    """Names to roles, if both a user and an assistant speak in the document; else nothing.

    A known name that speaks far less often than another of its role is one that an answer quotes (``Agent: stopped``).

    Args:
        lines: The document's beginning.
        named: Names that the user mapped to ``user`` or ``assistant``.
    """
    mapped = {name.lower(): role for name, role in named.items()}
    speakers = {**_KNOWN, **mapped}
    begun = (_begin_turn(line, line.text[:200], speakers) for line in lines)
    counts = Counter(turn[0] for turn in begun if turn is not None)
    most = {role: max(counts[name] for name in speakers if speakers[name] == role) for role in _ROLES}
    if not (most["user"] and most["assistant"]):
        return {}
    return {
        name: role
        for name, role in speakers.items()
        if name in mapped or role not in most or counts[name] >= _LEAST_SHARE * most[role]
    }


def anyone_speaks(lines: Iterable[MarkedLine], speakers: Mapping[str, str]) -> bool:
    """Whether one of the lines begins a turn."""
    return any(_begin_turn(line, line.text, speakers) is not None for line in lines)


def read_dialogue(lines: Iterable[MarkedLine], speakers: Mapping[str, str]) -> Iterator[Row]:
    """The document as one conversation."""
    turns: list[tuple[str, list[str]]] = []
    first: MarkedLine | None = None
    for line in lines:
        begun = _begin_turn(line, line.text, speakers)
        if begun is not None:
            first = first or line
            turns.append((speakers[begun[0]], [begun[1]]))
        elif turns:
            turns[-1][1].append(line.text)
    if first is not None:
        tidy: list[Message] = [(role, "\n".join(texts).strip(EDGES + "\n")) for role, texts in turns]
        yield conversation(tidy, first.number, first.offset)


def unknown_speakers(lines: Iterable[MarkedLine]) -> str:
    """What names the speakers of a chat program's export whose lines have names beside the time; empty where there are no such."""
    names: dict[str, str] = {}
    for line in lines:
        if name := "" if line.fenced else _stamped_name(line.text):
            names.setdefault(name.lower(), name)
    if not _FEWEST_SPEAKERS <= len(names) <= _MOST_SPEAKERS:
        return ""
    unknown = [name for key, name in names.items() if key not in _KNOWN]
    return how_to_name(unknown, {_KNOWN[key] for key in names if key in _KNOWN}) if unknown else ""


def _stamped_name(text: str) -> str:
    """The name that alone stands on a line beside the time, or between the time and a colon; empty where there is none."""
    stamp = _STAMP.match(text)
    if stamp is None:
        alone = _NAME_BEFORE_STAMP.fullmatch(text)
        return alone[1].strip() if alone else ""
    rest = text[stamp.end() :]
    found = _STAMPED_NAME.fullmatch(rest) or _SPEAKER.match(rest)
    return found[1].strip() if found else ""


def _begin_turn(line: MarkedLine, text: str, speakers: Mapping[str, str]) -> tuple[str, str] | None:
    """Name and first words of the turn that a line begins; None where it begins none.

    A name has a colon behind it, is a heading, or stands beside the time.
    """
    if line.fenced:
        return None
    text = line.title or text
    stamp = _STAMP.match(text)
    rest = text[stamp.end() :] if stamp else text
    if (found := _SPEAKER.match(rest)) and (said_by := found[1].strip().lower()) in speakers:
        return said_by, found[2]
    if not (line.level or stamp or text[-1:].isdigit() or text[-1:] in "])）】"):
        return None
    alone = _STAMPED_NAME.fullmatch(rest) if line.level or stamp else _NAME_BEFORE_STAMP.fullmatch(text)
    name = alone[1].strip().lower() if alone else ""
    if line.level and name in _SECTIONS:
        return None
    return (name, "") if name in speakers else None
