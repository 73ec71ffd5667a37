"""Lists in the fields of one record: several questions with their answers, or several answers to one question."""

from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.formats.turns import RecordError
from qwen_pipeline.text.schema import RejectReason

_TEXTS_OF_ANSWERS = ("answer_text", "answer")  # of the objects in a list of answers, as in PsyQA


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
        if role not in ("messages", "system", "history") and isinstance(record[name], list)
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
    if isinstance(answer, Mapping) and isinstance(answer.get("value"), str) and "aliases" in answer:
        return [answer["value"]]  # TriviaQA: the others are spellings of it
    if are_texts(answer):
        return list(answer)
    if not isinstance(answer, list):
        return []
    is_marked = all(isinstance(one, Mapping) and "answer_start" in one and "text" in one for one in answer)
    if is_marked:
        return [one["text"] for one in answer]
    name = next((name for name in _TEXTS_OF_ANSWERS if all(_holds_text(one, name) for one in answer)), "")
    return [one[name] for one in answer] if name else []


def _holds_text(value: Any, name: str) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get(name), str)
