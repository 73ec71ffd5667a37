"""One record (a JSON object, a table's row) into a conversation."""

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from qwen_pipeline.text.formats.answer_lists import alternatives, are_texts, records_of_lists
from qwen_pipeline.text.formats.conversation import conversation
from qwen_pipeline.text.formats.field_roles import is_single_turn, map_fields
from qwen_pipeline.text.formats.record_shapes import plain_record
from qwen_pipeline.text.formats.row import Message, Row, refuse
from qwen_pipeline.text.formats.single_turns import turn_of
from qwen_pipeline.text.formats.turns import (
    RecordError,
    answer_with_reasoning,
    role_of,
    text_of,
    turns_of,
    turns_of_history,
)
from qwen_pipeline.text.schema import RejectReason

_ERRORS_OF_CELLS = frozenset(
    ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")
)
# The letters of options, or whether a statement is true: an answer that says which, and not why.
_VERDICT = re.compile(
    r"\s*[(（]?[A-J](?:[ \t,，、;；]*[A-J])*[)）]?[.．。]?\s*|\s*(?:正确|错误|对|错|是|否|√|×|(?i:true|false|yes|no))[.．。]?\s*"
)
_EXPLAINS = re.compile(r"[【\[]?(?:答案)?(?:解析|详解|解答|Explanation)", re.IGNORECASE)
_IDEOGRAPH = re.compile("[\u4e00-\u9fff]")


def row_of_record(
    record: Mapping[str, Any],
    line: int,
    offset: int,
    column_map: Mapping[str, str],
    tool_turns: str,
    notes: tuple[str, ...] = (),
) -> Row:
    """The conversation in ``record``, or why there is none.

    Args:
        record: Field names to values.
        line: Where the record begins.
        offset: The same in characters.
        column_map: As in ``map_fields``.
        tool_turns: ``refuse``, ``drop`` or ``keep``.
        notes: What the caller noted.
    """
    record = plain_record(record)
    names = [str(name) for name in record]
    roles = map_fields(names, column_map)
    if not roles.keys().isdisjoint(("answer", "messages")) and _is_labelled_false(record):
        return refuse(
            line,
            RejectReason.UNDESIRED_ANSWER,
            "the answer is labelled false: it is not to be learned",
            _preview(record),
        )
    if is_single_turn(roles):
        return turn_of(record, roles, line, offset, notes) or refuse(
            line,
            RejectReason.MALFORMED_ROW,
            f"no conversation is named ({roles['conversation_id']} is empty)",
            _preview(record),
        )
    odd: list[str] = []
    try:
        turns = _turns(record, roles, tool_turns, odd)
    except RecordError as error:
        return refuse(line, error.reason, error.detail, _preview(record))
    if turns is None:
        shown = ", ".join(names[:12]) or "none"
        missing = f"no question and answer among the fields ({shown}); name them with column_map"
        if {"speaker", "content"} <= roles.keys():
            missing = f"one turn without its conversation ({shown}); name the field that all turns of one share, as column_map: {{conversation_id: 单号}}"
        return refuse(line, RejectReason.UNKNOWN_FIELDS, missing, _preview(record))
    return conversation(turns, line, offset, (*notes, *odd))


def _is_labelled_false(record: Mapping[str, Any]) -> bool:
    """Whether people did not want the answer, as in data for KTO; a table in text writes the label as a word or 0.

    A zero counts only beside a prompt and its completion, as such data has them: elsewhere it is some class's number.
    """
    label = next((record[name] for name in record if str(name).strip().lower() == "label"), None)
    if isinstance(label, str):
        label = {"false": False, "0": 0, "0.0": 0}.get(label.strip().lower())
    return label is False or (label == 0 and label is not None and {"prompt", "completion"} <= record.keys())


def _turns(
    record: Mapping[str, Any], roles: Mapping[str, str], tool_turns: str, odd: list[str]
) -> list[Message] | None:
    """The turns, None where no fields hold any; what has to be left out is added to ``odd``."""
    opening: list[Message] = [("system", text_of(record[roles["system"]]))] if "system" in roles else []
    given = record[roles["messages"]] if "messages" in roles else None
    if (
        isinstance(given, str)
        and {"question", "answer"} <= roles.keys()
        and not given.lstrip().startswith("[")
    ):
        given = None  # a name or number of the conversation
    if given not in (None, "", []):
        turns = turns_of(given, tool_turns)
        return turns if turns and turns[0][0] == "system" else [*opening, *turns]
    if "question" not in roles or "answer" not in roles:
        return [] if "messages" in roles else None
    history = turns_of_history(record.get(roles.get("history", "")))
    opening.extend(history or [])
    odd.extend(["history_left_out"] * (history is None))
    question, answer = record[roles["question"]], record[roles["answer"]]
    if isinstance(question, list) and len(question) == 1 and are_texts(question[0]):
        odd.extend(["other_wordings_left_out"] * (len(question[0]) > 1))
        question = question[0][0]  # one question in several wordings, as in Huatuo-26M
        record = {**record, roles["question"]: question}
    if are_texts(question) and are_texts(answer):
        pairs = [_pair(one, roles) for one in records_of_lists(record, roles)]
        return [*opening, *chain.from_iterable(pairs)]
    if isinstance(question, list) and isinstance(answer, list) and not are_texts(answer):
        return [*opening, *turns_of(question, tool_turns), *turns_of(answer, tool_turns)]
    if role_of(answer):
        asking = question if isinstance(question, list) else [{"role": "user", "content": question}]
        return [*opening, *turns_of([*asking, answer], tool_turns)]
    several = alternatives(answer)
    odd.extend(["other_answers_left_out"] * any(other != several[0] for other in several))
    return [*opening, *_pair(record, roles)]


def _pair(record: Mapping[str, Any], roles: Mapping[str, str]) -> list[Message]:
    """Question and answer, with what goes with the one and the reasoning that leads to the other."""
    asked = text_of(record[roles["question"]])
    more = text_of(record[roles["input"]]) if "input" in roles else ""
    if more.strip() and more.strip() != asked.strip():
        asked = f"{asked}\n{more}" if asked.strip() else more
    thought = text_of(record[roles["reasoning"]]) if "reasoning" in roles else ""
    answer = record[roles["answer"]]
    answered = text_of(next(iter(alternatives(answer)), answer))
    if answered.strip().upper() in _ERRORS_OF_CELLS:
        raise RecordError(
            RejectReason.MISSING_ANSWER, f"the answer is {answered.strip()}, a spreadsheet's error"
        )
    if "explanation" in roles and _VERDICT.fullmatch(answered):
        answered = _explained(answered, record[roles["explanation"]])
    return [("user", asked), ("assistant", answer_with_reasoning(answered, thought))]


def _explained(verdict: str, explanation: Any) -> str:
    """A choice's letters with why they are right under them, as documents write it."""
    why = explanation.strip() if isinstance(explanation, str) else ""
    if not why or why == verdict.strip():
        return verdict
    label = "" if _EXPLAINS.match(why) else "解析：" if _IDEOGRAPH.search(why) else "Explanation: "
    return f"{verdict.strip()}\n{label}{why}"


def _preview(record: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}={str(value)[:50]}" for name, value in list(record.items())[:4])
