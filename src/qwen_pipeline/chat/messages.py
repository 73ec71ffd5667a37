"""Messages as the template gets them: control tokens of the text escaped, one thinking block as structure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qwen_pipeline.text.control_tokens import escape_control_tokens
from qwen_pipeline.text.thinking import cut_thinking

Message = dict[str, str]


@dataclass(frozen=True)
class Answer:
    """An assistant turn: reasoning (None where there is no block, or nothing in it) and the answer itself."""

    reasoning: str | None
    text: str

    @property
    def content(self) -> str:
        """The turn as the ``content`` of a message."""
        if self.reasoning is None:
            return self.text
        return f"<think>\n{self.reasoning}\n</think>\n\n{self.text}"


def split_answer(content: str) -> Answer:
    """Take one leading, well-formed thinking block as structure; the rest is text, tags escaped."""
    cut = cut_thinking(content)
    if cut is None:
        return Answer(None, _plain(content).strip("\n"))
    thought, text = cut
    reasoning = _plain(thought).strip("\n") if thought.strip() else None
    return Answer(reasoning, _plain(text).lstrip("\n"))


def prepare_messages(messages: Sequence[Mapping[str, str]]) -> list[Message]:
    """Escape what would be read as structure; training and inference both go through here.

    Args:
        messages: ``role`` and ``content`` of each turn.

    Returns:
        New messages; preparing them again changes nothing.
    """
    return [
        {
            "role": message["role"],
            "content": split_answer(message["content"]).content
            if message["role"] == "assistant"
            else _plain(message["content"]),
        }
        for message in messages
    ]


def _plain(text: str) -> str:
    return escape_control_tokens(text)[0]
