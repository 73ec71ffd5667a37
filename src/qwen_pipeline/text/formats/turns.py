"""Lists of turns in the spellings of OpenAI, ShareGPT and others."""

import json
from collections.abc import Mapping
from typing import Any

from qwen_pipeline.text.formats.row import Message
from qwen_pipeline.text.formats.speakers import SPEAKERS
from qwen_pipeline.text.schema import RejectReason

_ROLES = SPEAKERS | {
    "prompter": "user", "usr": "user", "sys": "assistant", "question": "user", "client": "user", "买家": "user", "gpt": "assistant", "model": "assistant",
    "answer": "assistant", "chatbot": "assistant", "counselor": "assistant", "卖家": "assistant", "developer": "system", "系统": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "function_call": "call", "tool_call": "call",
    "ipython": "tool", "function_response": "tool",
}  # fmt: skip
_ROLE_KEYS = ("role", "from", "speaker", "author", "角色")
_CONTENT_KEYS = ("content", "value", "text", "message", "utterance", "parts", "内容")
_PAIRS = (
    ("input", "output"),
    ("question", "answer"),
    ("human", "assistant"),
    ("user", "assistant"),
    ("q", "a"),
)
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_LEARNED_KEYS = ("weight", "train", "loss")  # by OpenAI, axolotl and ms-swift: 0 or false is context only


def is_turn(value: Mapping[str, Any]) -> bool:
    """Whether an object names a speaker and holds what was said."""
    return any(key in value for key in _ROLE_KEYS) and any(key in value for key in _CONTENT_KEYS)


def are_turns(value: Any) -> bool:
    """Whether a value is a list of nothing but turns."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and is_turn(one) for one in value)
    )


def role_of(turn: Any) -> str | None:
    """The role that a turn names, in this project's word for it; None where it names none that is known."""
    if not isinstance(turn, Mapping):
        return None
    named = next((turn[key] for key in _ROLE_KEYS if turn.get(key) is not None), None)
    if isinstance(named, Mapping):
        named = named.get("role")
    return _ROLES.get(str(named).strip().lower())


class RecordError(Exception):
    """A record that cannot become a conversation.

    Attributes:
        reason: The code for the table of rejects.
        detail: The same in words.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def text_of(value: Any) -> str:
    """A field's text; nothing is empty, numbers are written out, parts of a multi-part content are joined.

    Raises:
        RecordError: The value is no text.
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()  # as JSON writes it
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping) and isinstance(value.get("parts", value.get("text")), list | str):
        return text_of(value.get("parts", value.get("text")))
    if isinstance(value, list):
        if all(isinstance(part, str) for part in value):
            return "\n".join(value)
        parts = [part.get("text") for part in value if isinstance(part, Mapping)]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(value):
            return "\n".join(texts)
        if texts:
            detail = "a part of the content is no text (an image, sound or file), which cannot be trained on"
            raise RecordError(RejectReason.MALFORMED_ROW, detail)
    raise RecordError(RejectReason.MALFORMED_ROW, f"a {type(value).__name__} stands where text is expected")


def answer_with_reasoning(answer: str, reasoning: str) -> str:
    """The answer with its reasoning as one leading thinking block."""
    if not reasoning.strip() or answer.lstrip().startswith("<think>"):
        return answer
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{answer.lstrip()}"


def turns_of(given: Any, tool_turns: str) -> list[Message]:
    """The turns in a list of messages, or in JSON text of one.

    Args:
        given: The list.
        tool_turns: What to do with calls of tools and their results: ``refuse`` the row, ``drop`` those turns,
            or ``keep`` them as text.

    Raises:
        RecordError: It is no list of turns, a role is unknown, tools appear and are refused, or an answer is marked as one
            that is not to be learned.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise RecordError(RejectReason.MALFORMED_ROW, "the messages are text but no JSON") from error
    if not isinstance(given, list):
        raise RecordError(RejectReason.MALFORMED_ROW, "the messages are no list")
    turns: list[Message] = []
    for at, turn in enumerate(given):
        if isinstance(turn, Mapping):
            turns.extend(_turn(turn, tool_turns))
        elif isinstance(turn, str):
            turns.append(("assistant" if at % 2 else "user", turn))
        elif isinstance(turn, list | tuple) and len(turn) == 2:
            turns += [("user", text_of(turn[0])), ("assistant", text_of(turn[1]))]
        elif turn is not None:
            raise RecordError(RejectReason.MALFORMED_ROW, f"turn {at + 1} is a {type(turn).__name__}")
    return turns


def turns_of_history(given: Any) -> list[Message] | None:
    """The earlier turns of a record, as Alpaca and its relatives keep them beside the question: pairs, turns, or texts that alternate.

    Args:
        given: The list, or JSON text of one.

    Returns:
        The turns, none where the field is empty; None where it holds something else, such as free text.

    Raises:
        RecordError: A turn cannot be read.
    """
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    if not given or given != given or (isinstance(given, str) and not given.strip()):
        return []
    if not isinstance(given, list):
        return None
    if all(isinstance(turn, dict) for turn in given):
        return turns_of(given, "drop")
    if len(given) % 2 == 0 and all(isinstance(turn, str) for turn in given):
        given = list(zip(given[::2], given[1::2], strict=True))
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given):
        return None
    return [turn for pair in given for turn in (("user", text_of(pair[0])), ("assistant", text_of(pair[1])))]


def _turn(turn: Mapping[str, Any], tool_turns: str) -> list[Message]:
    named = next((turn[key] for key in _ROLE_KEYS if turn.get(key) is not None), None)
    if named is None:
        return _pair(turn)
    role = role_of(turn)
    if role is None:
        raise RecordError(RejectReason.UNKNOWN_ROLE, f"the role {str(named)[:40]!r} is not known")
    content = text_of(next((turn[key] for key in _CONTENT_KEYS if turn.get(key) is not None), ""))
    calls = turn.get("tool_calls") or turn.get("function_call")
    if role in ("tool", "call") or calls:
        return _tool_turn(role, content, calls, tool_turns)
    if role == "assistant":
        _require_learned(turn)
        reasoning = next((turn[key] for key in _REASONING_KEYS if turn.get(key)), "")
        content = answer_with_reasoning(content, text_of(reasoning))
    return [(role, content)]


def _require_learned(turn: Mapping[str, Any]) -> None:
    mark = next((key for key in _LEARNED_KEYS if turn.get(key) is not None and turn[key] in (0, False)), None)
    if mark:
        detail = (
            f"an answer of it is marked {mark}={str(turn[mark]).lower()}: it is not to be learned, and every answer is; "
            f"leave it out, or remove {mark} and set train_on_turns=last"
        )
        raise RecordError(RejectReason.UNDESIRED_ANSWER, detail)


def _pair(turn: Mapping[str, Any]) -> list[Message]:
    """A turn that holds question and answer together, perhaps with a system text."""
    for asked, answered in _PAIRS:
        if asked in turn and answered in turn:
            said = (turn.get("system"), turn[asked], turn[answered])
            return list(zip(("system", "user", "assistant"), map(text_of, said), strict=True))
    raise RecordError(RejectReason.UNKNOWN_ROLE, "a turn names no role")


def _tool_turn(role: str, content: str, calls: Any, tool_turns: str) -> list[Message]:
    if tool_turns == "refuse":
        raise RecordError(RejectReason.TOOL_TURNS, "tool turns are refused (tool_turns=drop leaves them out)")
    if tool_turns == "drop":
        return [(role, content)] if role == "assistant" else []
    if role == "tool":
        return [("tool", content)]
    spoken = json.dumps(calls, ensure_ascii=False, default=str) if calls else ""
    return [("assistant", "\n".join(part for part in (content, spoken) if part))]
