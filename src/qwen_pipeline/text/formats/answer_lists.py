"""Lists in the fields of one record: several questions with their answers, or several answers to one question.

Of replies that people judged, as in Open Assistant's trees and dumps of Stack Exchange, the one that they chose is read.
"""

from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.formats.field_roles import map_fields
from qwen_pipeline.text.formats.multiple_choice import LETTERS
from qwen_pipeline.text.formats.turns import RecordError
from qwen_pipeline.text.schema import RejectReason

Record = Mapping[str, Any]
_TEXTS_OF_ANSWERS = ("answer_text", "answer")  # of the objects in a list of answers, as in PsyQA
_CHOSEN = ("is_accepted", "accepted", "selected")
_SCORES = ("score", "pm_score")
_PLAIN = frozenset(("answer", "messages", "conversations"))  # beside these there is nothing to choose
_ROLES_IN_LISTS = ("question", "answer", "input", "reasoning", "explanation")
_TEXTS = ("body_markdown", "body", "text")


def are_texts(value: Any) -> bool:
    """Whether a value is a list of plain texts, which name no speaker."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def records_of_lists(record: Mapping[str, Any], roles: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """A record for each question of a list with the answer at the same place in the other list.

    Args:
        record: Its question and its answer are lists of texts.
        roles: Role to field name.

    Raises:
        RecordError: A list in another role is longer or shorter, so that nobody can say what belongs together.
    """
    count = len(record[roles["question"]])
    lists = {
        name: record[name]
        for role, name in roles.items()
        if role in _ROLES_IN_LISTS and isinstance(record[name], list)
    }
    for name, cells in lists.items():
        if len(cells) != count:
            detail = f"{count} questions in a list beside a list of {len(cells)} ({name})"
            raise RecordError(RejectReason.MALFORMED_ROW, detail)
    shared = {**record}
    records: list[Mapping[str, Any]] = []
    for at in range(count):
        records.append({**shared, **{name: cells[at] for name, cells in lists.items()}})
        if "input" in roles:
            shared[roles["input"]] = ""  # a passage for all questions is read once
    return records


def alternatives(answer: Any) -> list[Any]:
    """Several answers to one question of which any is right, or spans marked in a text; none where it is one answer.

    Spans come as a list of objects (SQuAD), or as an object of lists (the same from Hugging Face).
    """
    if isinstance(answer, Mapping) and are_texts(answer.get("text")):
        return list(answer["text"])
    if isinstance(answer, Mapping) and isinstance(answer.get("value"), str):
        return [answer["value"]]  # TriviaQA: beside it are spellings of it
    if are_texts(answer):
        return ["".join(answer)] if _are_chosen(answer) else list(answer)
    if not isinstance(answer, list):
        return []
    is_marked = all(isinstance(one, Mapping) and "answer_start" in one and "text" in one for one in answer)
    if is_marked:
        return [one["text"] for one in answer]
    name = next((name for name in _TEXTS_OF_ANSWERS if all(_holds_text(one, name) for one in answer)), "")
    return [one[name] for one in answer] if name else []


def _are_chosen(answer: list[str]) -> bool:
    """Whether texts are the letters of several options that are right together, not one answer in several spellings."""
    return all(one in tuple(LETTERS) for one in answer) and sorted(set(answer)) == answer


def _holds_text(value: Any, name: str) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get(name), str)


def path_of_best(prompt: Any) -> list[Record] | None:
    """The turns from a tree's root along the replies of the best rank; None where ``prompt`` is no such tree."""
    if not isinstance(prompt, Mapping) or not isinstance(prompt.get("replies"), list) or "text" not in prompt:
        return None
    path: list[Record] = []
    node: Any = prompt
    while isinstance(node, Mapping):
        path.append(node)
        given = node.get("replies")
        replies = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
        node = min((one for one in replies if not one.get("deleted")), key=_rank, default=None)
    return path


def _rank(reply: Record) -> float:
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int | float) else float("inf")


def with_chosen_first(record: Record) -> Record:
    """The record with the texts of its replies, the chosen one first, else the one with the highest score.

    A question without a field of its own is the title and the body. Any other record is returned as it is.
    """
    given = _rows_of(record.get("answers"))
    if not isinstance(given, list) or not given or not all(_is_reply(reply) for reply in given):
        return record
    if not _PLAIN.isdisjoint(record):
        return record
    accepted = record.get("accepted_answer_id")
    ordered = sorted(given, key=lambda reply: (not _is_chosen(reply, accepted), -_score(reply)))
    asked = record.get(map_fields(list(record), {}).get("question", ""))
    if not isinstance(asked, str):
        body = next((record[name] for name in (*_TEXTS, "selftext") if record.get(name)), None)
        parts = (record.get("title"), body)
        asked = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
    if not asked:
        return record
    return {"question": asked, "answer": [_text(reply) for reply in ordered]}


def _rows_of(given: Any) -> Any:
    """Replies that stand in columns, as ELI5's, as a list of objects; anything else as it is."""
    if not isinstance(given, Mapping) or not are_texts(given.get("text")):
        return given
    columns = {
        name: cells
        for name, cells in given.items()
        if isinstance(cells, list) and len(cells) == len(given["text"])
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_reply(reply: Any) -> bool:
    """Whether it is a text that people judged; without that, texts in a list are spans or parts."""
    if not isinstance(reply, Mapping) or "answer_start" in reply or not _text(reply):
        return False
    return any(name in reply for name in (*_CHOSEN, *_SCORES, "answer_id"))


def _is_chosen(reply: Record, accepted: Any) -> bool:
    is_named = accepted is not None and reply.get("answer_id") == accepted
    return is_named or any(reply.get(name) is True for name in _CHOSEN)


def _score(reply: Record) -> float:
    score = next((reply[name] for name in _SCORES if isinstance(reply.get(name), int | float)), 0)
    return float(score)


def _text(reply: Record) -> str:
    return next((reply[name] for name in _TEXTS if isinstance(reply.get(name), str) and reply[name]), "")
