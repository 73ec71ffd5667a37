"""Records of other shapes brought into the plain one: fields of text, or a list of turns."""

import re
from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.formats.answer_lists import are_texts, path_of_best, with_chosen_first
from qwen_pipeline.text.formats.multiple_choice import (
    FIRST_OPTIONS,
    OPTIONS,
    with_open_question,
    with_options,
)
from qwen_pipeline.text.formats.transcript import turns_of_transcript
from qwen_pipeline.text.formats.turns import role_of

Record = Mapping[str, Any]
_TRANSCRIPTS = ("chosen", "text")
_TURNS = ("messages", "conversations", "conversation")
_PROMPTS = ("prompt", "instruction")
_ANSWERS_OF_PROMPT = ("chosen", "completion", "response", "output", "answer")
# without any of these it is plain already
_TELLING = frozenset(
    ("mapping", "chat", "answers", "context", *_PROMPTS, *_TRANSCRIPTS, *OPTIONS, *FIRST_OPTIONS)
)
# Beside one of these a field ``text`` is the same pair once more, in a prompt's wording, or one turn.
_PAIR_FIELDS = frozenset((
    "question", "instruction", "answer", "output", "response", "completion", "messages", "conversations", "role",
))  # fmt: skip
_QUESTION_MARK = re.compile(r"[?？]\s*$|[吗么呢]\s*$")
_OPEN_END = re.compile(
    r"(?:^|\n)[ \t]*(?:Assistant|助手)\s*[:：]\s*\Z|<\|im_start\|>assistant\s*\Z|\[/INST\]\s*\Z",
    re.IGNORECASE,
)
_MOSS_ROLES = {
    "Human": "user",
    "Commands": "function_call",
    "Tool Responses": "observation",
    "MOSS": "assistant",
}
_MOSS_MARKS = re.compile(r"\A<\|[^|>]*\|>:\s*|\s*<eo\w>\s*\Z")
_LEAST_QUESTIONS = 0.8  # of an object's keys, for it to be a list of questions and answers


def plain_record(record: Record) -> Record:
    """The record with its conversation under ``messages``, or with its options in the question.

    Knows questions of schema.org, the trees of ChatGPT and Open Assistant, judged replies, HotpotQA's passages, MOSS's turns, pairs of preference
    (what was chosen is trained) that hold whole conversations or the answers to one, transcripts in one text field, and
    multiple choice. Any other record is returned as it is.
    """
    if record.keys() == {"id", "data"} and are_texts(record["data"]):
        return {"messages": record["data"]}  # UltraChat
    if asked := _pair_of_schema_org(record):
        return asked
    record = with_open_question(record)
    if _TELLING.isdisjoint(record):
        return record
    if isinstance(record.get("mapping"), Mapping):
        return {"messages": _path_to_last(record["mapping"], record.get("current_node"))}
    if path := path_of_best(record.get("prompt")):
        return {"messages": path}
    if passages := _passages(record.get("context")):
        record = {**record, "context": passages}
    if (chosen := with_chosen_first(record)) is not record:
        return chosen
    if said := _turns_of_moss(record.get("chat")):
        return {"messages": said, "system": record.get("meta_instruction", "")}
    opened = _with_chosen(record) or _opened_transcript(record)
    if opened:
        return {**record, "messages": opened}
    for name in _TRANSCRIPTS if _PAIR_FIELDS.isdisjoint(record) else _TRANSCRIPTS[:1]:
        value = record.get(name)
        if name == "chosen" and "prompt" not in record and isinstance(value, list):
            return {**record, "messages": value}
        turns = turns_of_transcript(value) if isinstance(value, str) and "prompt" not in record else None
        if turns:
            return {**record, "messages": turns}
    return with_options(record)


def _pair_of_schema_org(record: Record) -> Record | None:
    """Question and answers of a ``Question`` of schema.org, the accepted answers first; None where the record is none."""
    if record.get("@type") != "Question" or not isinstance(record.get("name"), str):
        return None
    given = (record.get("acceptedAnswer"), record.get("suggestedAnswer"))
    answers = [one for each in given for one in (each if isinstance(each, list) else [each])]
    texts = [one["text"] for one in answers if isinstance(one, Mapping) and isinstance(one.get("text"), str)]
    return {"question": record["name"], "input": record.get("text"), "answer": texts or None}


def _with_chosen(record: Record) -> list[Any] | None:
    """The turns that lead to a pair of preference, with the chosen answer behind them; None where there are none."""
    asked = next((record[name] for name in _TURNS if isinstance(record.get(name), list)), None)
    chosen = record.get("chosen")
    if not asked or not chosen or "rejected" not in record or role_of(asked[-1]) == "assistant":
        return None
    if isinstance(chosen, list):
        return chosen if role_of(chosen[0]) == "user" else [*asked, *chosen]
    answer = chosen if isinstance(chosen, Mapping) else {"content": chosen}
    return [*asked, {"role": "assistant", **answer}]


def _opened_transcript(record: Record) -> list[dict[str, str]] | None:
    """The turns of a prompt that is a transcript up to the assistant's mark, as ``Human: … Assistant:``, answer included."""
    prompt = next((record[name] for name in _PROMPTS if name in record), None)
    answer = next((record[name] for name in _ANSWERS_OF_PROMPT if isinstance(record.get(name), str)), None)
    if not isinstance(prompt, str) or answer is None or record.get("input") or not _OPEN_END.search(prompt):
        return None
    return turns_of_transcript(prompt + answer)


def _passages(context: Any) -> str:
    """HotpotQA's titles with their sentences, or PubMedQA's passages, as one text; empty where a context is something else."""
    if isinstance(context, Mapping):
        if are_texts(context.get("contexts")):
            return "\n".join(context["contexts"])
        titles, sentences = context.get("title"), context.get("sentences")
        if not isinstance(titles, list) or not isinstance(sentences, list):
            return ""
        context = list(zip(titles, sentences, strict=False))
    if not isinstance(context, list) or not all(
        isinstance(one, list | tuple) and len(one) == 2 and are_texts(one[1]) for one in context
    ):
        return ""
    return "\n\n".join(f"{title}\n{''.join(sentences).strip()}" for title, sentences in context)


def _turns_of_moss(chat: Any) -> list[dict[str, str]]:
    """The turns of an object of MOSS's ``turn_1``, ``turn_2`` and so on, without their marks; none where it is no such object."""
    if not isinstance(chat, Mapping) or not all(isinstance(turn, Mapping) for turn in chat.values()):
        return []
    given = ((role, turn.get(name)) for turn in chat.values() for name, role in _MOSS_ROLES.items())
    said = ((role, _MOSS_MARKS.sub("", text)) for role, text in given if isinstance(text, str))
    return [{"role": role, "content": text} for role, text in said if text != "None"]


def pairs_of_object(value: Record) -> list[dict[str, str]] | None:
    """The pairs of an object whose keys are questions and whose values are answers, or None."""
    if not value or not all(isinstance(answer, str) for answer in value.values()):
        return None
    asked = sum(bool(_QUESTION_MARK.search(str(key))) for key in value)
    if asked < _LEAST_QUESTIONS * len(value):
        return None
    return [{"question": str(key), "answer": answer} for key, answer in value.items()]


def _path_to_last(tree: Mapping[str, Any], last: Any) -> list[Any]:
    """The messages on the way from the root of a ChatGPT export to the node that was shown last."""
    nodes = {key: node for key, node in tree.items() if isinstance(node, Mapping)}
    path: list[Any] = []
    while node := nodes.pop(str(last), None):
        message = node.get("message")
        if isinstance(message, Mapping) and not _is_empty(message):
            path.append(message)
        last = node.get("parent")
    return path[::-1]


def _is_empty(message: Mapping[str, Any]) -> bool:
    """A message that nobody sees: the export begins with an empty one of the system."""
    content = message.get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else content
    return not parts or (isinstance(parts, list) and not any(parts))
