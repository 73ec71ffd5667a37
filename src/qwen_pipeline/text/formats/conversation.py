"""Turns, or a question with its answer, into a row that can be trained on: it begins with a user's turn and ends with an answer."""

from collections.abc import Iterable

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, notes_on_end
from qwen_pipeline.text.formats.row import Found, Message, Result, refuse
from qwen_pipeline.text.schema import RejectReason


def conversation(turns: Iterable[Message], line: int, offset: int = 0, notes: tuple[str, ...] = ()) -> Result:
    """A row of these turns.

    Turns of one role in a row become one; an answer before the first question and a question after the last
    answer are left out, and noted.

    Args:
        turns: Pairs of role (``system``, ``user``, ``assistant``, ``tool``) and content.
        line: Where the conversation begins.
        offset: The same in characters.
        notes: What the caller noted.
    """
    given = list(turns)
    said = [turn for turn in given if turn[1].strip()]
    if not any(role == "user" for role, _ in said):
        return refuse(line, RejectReason.MISSING_QUESTION, "no turn of the user", _preview(given))
    if not any(role == "assistant" for role, _ in said):
        return refuse(line, RejectReason.MISSING_ANSWER, "no turn of the assistant", _preview(given))
    merged, merges = _merge(said)
    notes += ("same_role_turns_joined",) * bool(merges)
    system = [turn for turn in merged[:1] if turn[0] == "system"]
    rest = merged[len(system) :]
    start = next(at for at, turn in enumerate(rest) if turn[0] == "user")
    end = max(at for at, turn in enumerate(rest) if turn[0] == "assistant") + 1
    if end <= start:
        return refuse(line, RejectReason.MISSING_ANSWER, "no answer after the question", _preview(given))
    notes += ("opening_answer_left_out",) * (start > 0)
    notes += ("unanswered_last_turn_left_out",) * (end < len(rest))
    return Found((*system, *rest[start:end]), line, offset, notes)


def row_of_pair(
    at: MarkedLine,
    question: str,
    answer: str,
    lines: list[MarkedLine],
    no_question: str = "a mark without a question",
    no_answer: str = "a question without an answer",
    notes: tuple[str, ...] = (),
) -> Result:
    """A row of a document's question and its answer.

    Args:
        at: Where it begins.
        question: What is asked, tidied.
        answer: What is answered, tidied.
        lines: The answer's lines as they stand.
        no_question: What is wrong where nothing is asked.
        no_answer: The same where nothing is answered.
        notes: What the caller noted.
    """
    if not question:
        return refuse(at.number, RejectReason.MISSING_QUESTION, no_question, at.text)
    if not answer.strip(EDGES + "\n"):
        return refuse(at.number, RejectReason.MISSING_ANSWER, no_answer, question)
    messages = (("user", question), ("assistant", answer))
    return Found(messages, at.number, at.offset, notes + notes_on_end(lines))


def _merge(turns: list[Message]) -> tuple[list[Message], int]:
    merged: list[Message] = []
    for role, content in turns:
        if merged and merged[-1][0] == role and role != "tool":
            merged[-1] = (role, f"{merged[-1][1]}\n{content}")
        else:
            merged.append((role, content))
    return merged, len(turns) - len(merged)


def _preview(turns: list[Message]) -> str:
    return " | ".join(f"{role}: {content[:60]}" for role, content in turns[:3])
