"""The thinking block of an answer: taken apart, given its swallowed opening back, or found to be left open.

A thinking model's prompt ends with ``<think>``, so what it writes begins inside the block, and answers collected from
it are ``reasoning</think>answer``. Taken as they are, the reasoning would be trained as the answer itself.
"""

import re
from collections.abc import Iterable

_OPENING = re.compile(r"\A\s*<think>")
_CLOSE = "</think>"
# The tag as a model writes it: on a line of its own, or after the end of a sentence and before a blank line. In prose
# about the tag it stands among words, in quotes or in code.
_CLOSING = re.compile(r"^</think>[ \t]*$|(?<=[.!?…。！？)）])</think>[ \t]*(?=\n[ \t]*\n|\Z)", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


def cut_thinking(answer: str) -> tuple[str, str] | None:
    """What stands inside the leading thinking block and what after it, as they are; None where none leads."""
    opening = _OPENING.match(answer)
    end = answer.find(_CLOSE, opening.end()) if opening else -1
    if opening is None or end < 0:
        return None
    return answer[opening.end() : end], answer[end + len(_CLOSE) :]


def split_thinking(answer: str) -> tuple[str, str] | None:
    """The same without white space around the block's content and before what follows it."""
    cut = cut_thinking(answer)
    return (cut[0].strip(), cut[1].lstrip()) if cut else None


def asks_about_tags(questions: Iterable[str]) -> bool:
    """Whether a question names the tags: then they are what the answer is about, not its structure."""
    return any("think>" in question for question in questions)


def restore_opening(answer: str) -> str | None:
    """The answer with the opening of its block put back; None where it needs none.

    Args:
        answer: ``reasoning``, ``</think>`` and the answer itself, without a tag before.
    """
    if _CLOSE not in answer:
        return None
    closing = _CLOSING.search(answer)
    if closing is None:
        return None
    before = answer[: closing.start()]
    if "think>" in before or len(_FENCE.findall(before)) % 2:
        return None
    return f"<think>\n{before.strip()}\n</think>\n\n{answer[closing.end() :].strip()}"


def is_left_open(answer: str) -> bool:
    """Whether a leading block never ends, so that where the answer begins cannot be told."""
    return _CLOSE not in answer and _OPENING.match(answer) is not None
