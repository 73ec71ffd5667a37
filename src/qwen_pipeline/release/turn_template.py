"""What a chat template writes around each turn, found by rendering marked conversations.

Clients without Jinja (Ollama) need the pieces; taking them from the template itself keeps both alike.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import end_of_turn
from qwen_pipeline.errors import ExportError

_MARKS = ("mark-system", "mark-question", "mark-answer", "mark-next")


@dataclass(frozen=True)
class TurnTemplate:
    """Text before and after the content of a turn, by role.

    Attributes:
        system: Around a system message.
        user: Around a question.
        assistant: Around an earlier answer.
        prompt: What opens the answer that is asked for.
        default_system: The system message that the template adds by itself, None where it adds none.
        stop: The token that ends an answer.
    """

    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    prompt: str
    default_system: str | None
    stop: str


def read_turn_template(tokenizer: Tokenizer) -> TurnTemplate:
    """Take a chat template apart.

    Args:
        tokenizer: With the template.

    Raises:
        ExportError: The template writes turns in a way that pieces cannot express.
    """
    stop = end_of_turn(tokenizer)
    roles = ("system", "user", "assistant", "user")
    marked: list[Message] = [{"role": r, "content": m} for r, m in zip(roles, _MARKS, strict=True)]
    before, after_system, to_answer, after_answer, last = _split(_render(tokenizer, marked), _MARKS)
    bare_before, _ = _split(_render(tokenizer, [marked[1]]), _MARKS[1:2])
    after_user = _through(to_answer, stop)
    system_end, user_start = _through(after_system, stop), after_system[len(_through(after_system, stop)) :]
    answer_end = after_answer.removesuffix(user_start)
    default = bare_before.removesuffix(user_start)
    if default:
        default = default.removeprefix(before).removesuffix(system_end)
    return TurnTemplate(
        system=(before, system_end),
        user=(user_start, after_user),
        assistant=(to_answer[len(after_user) :], answer_end),
        prompt=last[len(after_user) :],
        default_system=default or None,
        stop=stop,
    )


def _render(tokenizer: Tokenizer, messages: list[Message]) -> str:
    text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text


def _split(text: str, marks: tuple[str, ...]) -> list[str]:
    pieces = []
    for mark in marks:
        piece, found, text = text.partition(mark)
        if not found:
            raise ExportError(
                "The chat template does not write every turn of a conversation, so an Ollama template cannot "
                "be made of it; leave ollama out of export_formats."
            )
        pieces.append(piece)
    return [*pieces, text]


def _through(text: str, stop: str) -> str:
    """The beginning of ``text`` up to the end of a turn and the line break after it."""
    start, found, rest = text.partition(stop)
    return start + found + rest[: len(rest) - len(rest.lstrip("\n"))]
