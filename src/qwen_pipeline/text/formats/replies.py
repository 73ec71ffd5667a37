"""A question with several replies: the one that people chose is read, as in Open Assistant's trees and dumps of Stack Exchange."""

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
_CHOSEN = ("is_accepted", "accepted", "selected")
_SCORES = ("score", "pm_score")
_PLAIN = frozenset(("answer", "messages", "conversations"))  # beside these there is nothing to choose
_TEXTS = ("body_markdown", "body", "text")


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
    given = record.get("answers")
    if not isinstance(given, list) or not given or not all(_is_reply(reply) for reply in given):
        return record
    if not _PLAIN.isdisjoint(record):
        return record
    accepted = record.get("accepted_answer_id")
    ordered = sorted(given, key=lambda reply: (not _is_chosen(reply, accepted), -_score(reply)))
    asked = record.get("question")
    if not isinstance(asked, str):
        parts = (record.get("title"), next((record[name] for name in _TEXTS if record.get(name)), None))
        asked = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
    if not asked:
        return record
    return {"question": asked, "answer": [_text(reply) for reply in ordered]}


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
