"""Tables with a row for each turn, as logs of chats and Open Assistant's flat files, joined into conversations.

The rows of a conversation may be mixed with those of others, as in a log by time. Only so much text is held, so that memory does not
grow with the file: of the conversations that are open the one that was silent for the longest time is closed when that is full.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qwen_pipeline.text.formats.answer_lists import path_of_best
from qwen_pipeline.text.formats.conversation import conversation
from qwen_pipeline.text.formats.row import Result, Row, Turn, refuse
from qwen_pipeline.text.formats.speakers import how_to_name
from qwen_pipeline.text.formats.turns import RecordError, role_of, text_of, turns_of
from qwen_pipeline.text.schema import RejectReason

MOST_HELD = 2**25  # characters
_COST_OF_A_TURN = 500  # characters' worth of memory beside its text
_KEPT = ("message_id", "parent_id", "rank", "deleted", "reasoning_content", "weight", "train")
_NUMBERS = re.compile(r"[0-9]+")
_HALF_OF_DAY = re.compile("[上下]午|[AP]M", re.IGNORECASE)
_DATE_AND_TIME = 5  # numbers at least: year, month, day, hour, minute
_MOST_NAMES, _LONGEST_NAME = 4, 30


def turn_of(
    record: Mapping[str, Any], roles: Mapping[str, str], line: int, offset: int, notes: tuple[str, ...]
) -> Turn | None:
    """The turn that a record holds; None where it does not say of which conversation.

    Args:
        record: Field names to values.
        roles: Role to field name, ``conversation_id``, ``speaker`` and ``content`` among them.
        line: Where the record begins.
        offset: The same in characters.
        notes: What the caller noted.
    """
    named = record[roles["conversation_id"]]
    if named is None or named != named or not str(named).strip():
        return None
    kept = {name: record[name] for name in _KEPT if record.get(name) is not None}
    speaker, order = record[roles["speaker"]], record.get(roles.get("order", ""))
    speaker = "" if speaker is None or speaker != speaker else speaker
    said = {**kept, "role": speaker, "content": record[roles["content"]], "order": order}
    return Turn(str(named).strip(), said, line, offset, notes)


def join_turns(rows: Iterable[Row], speakers: Mapping[str, str], tool_turns: str) -> Iterator[Result]:
    """The rows with their single turns joined into conversations; all other rows pass as they come.

    Args:
        rows: As an adapter yields them.
        speakers: Names that the user mapped to roles.
        tool_turns: ``refuse``, ``drop`` or ``keep``.
    """
    known = {name.strip().lower(): role for name, role in speakers.items()}
    held: dict[str, list[Turn]] = {}  # in the order of their first rows
    by_last_row: OrderedDict[str, None] = OrderedDict()
    size = 0
    for row in rows:
        if not isinstance(row, Turn):
            yield row
            continue
        held.setdefault(row.conversation, []).append(row)
        by_last_row[row.conversation] = None
        by_last_row.move_to_end(row.conversation)
        size += _size(row)
        while size > MOST_HELD:
            closed = held.pop(by_last_row.popitem(last=False)[0])
            size -= sum(map(_size, closed))
            yield from _conversations(closed, known, tool_turns)
    for turns in held.values():
        yield from _conversations(turns, known, tool_turns)


def _size(turn: Turn) -> int:
    return _COST_OF_A_TURN + sum(len(value) for value in turn.said.values() if isinstance(value, str))


def _conversations(turns: list[Turn], known: Mapping[str, str], tool_turns: str) -> Iterator[Result]:
    """The conversation of some turns, or one for each tree in them: there the best replies are read."""
    is_tree = any("parent_id" in turn.said for turn in turns)
    paths = list(_paths(turns)) if is_tree else [_in_order(turns)]
    for path in paths:
        yield _row(path, known, tool_turns)
    if not paths:
        yield refuse(
            turns[0].line, RejectReason.MALFORMED_ROW, "each turn replies to another, and none comes first"
        )


def _paths(turns: list[Turn]) -> Iterator[list[Turn]]:
    """From each turn that replies to none of the others, the way along the best replies."""
    nodes = [{**turn.said, "text": "", "turn": turn, "replies": list[Any]()} for turn in turns]
    by_id = {str(node["message_id"]): node for node in nodes if "message_id" in node}
    parents = [str(node.get("parent_id", "")) for node in nodes]
    for node, parent in zip(nodes, parents, strict=True):
        if parent in by_id:
            by_id[parent]["replies"].append(node)
    for node, parent in zip(nodes, parents, strict=True):
        if parent not in by_id:
            yield [one["turn"] for one in path_of_best(node) or ()]


def _in_order(turns: list[Turn]) -> list[Turn]:
    """The turns by their number or time where each has one that can be compared; else as they stand in the file."""
    keys = [_order(turn.said["order"]) for turn in turns]
    if not all(keys):
        return turns
    is_newest_first = keys[0] != keys[-1] and keys == sorted(keys, reverse=True)
    if is_newest_first:  # of those at the same time too
        turns, keys = turns[::-1], keys[::-1]
    return [turn for _, turn in sorted(zip(keys, turns, strict=True), key=lambda pair: pair[0])]


def _order(given: Any) -> tuple[float, ...]:
    """A number, or date and time from the year on, that can be compared; nothing for a time without its day."""
    if isinstance(given, int | float):
        return (given,) if given == given else ()
    text = str(given).strip()
    numbers = tuple(map(int, _NUMBERS.findall(text[:40])))
    is_date = len(numbers) >= _DATE_AND_TIME and text[:4].isdecimal() and not _HALF_OF_DAY.search(text)
    return numbers if is_date or text.isdecimal() else ()


def _row(turns: list[Turn], known: Mapping[str, str], tool_turns: str) -> Result:
    first = turns[0]
    said = [{**turn.said, "role": _role(turn, known)} for turn in turns]
    notes = tuple(dict.fromkeys(note for turn in turns for note in turn.notes))
    try:
        if any(role_of(turn) is None for turn in said):
            raise RecordError(RejectReason.UNKNOWN_ROLE, _unknown(said))
        return conversation(turns_of(said, tool_turns), first.line, first.offset, notes)
    except RecordError as error:
        return refuse(first.line, error.reason, error.detail, text_of(str(first.said["content"])))


def _role(turn: Turn, known: Mapping[str, str]) -> Any:
    name = turn.said["role"]
    return known.get(name.strip().lower(), name) if isinstance(name, str) else name


def _unknown(said: list[dict[str, Any]]) -> str:
    """Whose role nobody knows, and what tells it."""
    roles = {str(turn["role"]).strip(): role_of(turn) for turn in said}
    names = [name[:_LONGEST_NAME] for name, role in roles.items() if role is None and name][:_MOST_NAMES]
    if not names:
        return "a turn names no speaker"
    known = {role for role in roles.values() if role is not None}
    return f"the role of {', '.join(names)} is not known; {how_to_name(names, known)}"
