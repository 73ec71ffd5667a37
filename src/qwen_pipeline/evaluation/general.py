"""General questions with short answers, to see whether a tuned model forgets what it could do before."""

import json
from importlib.resources import files
from typing import Any

from qwen_pipeline.chat.labels import EncodedTurn, LabelRules, TurnEncoder
from qwen_pipeline.chat.messages import Message

_FILE = "general_questions.json"
_LONGEST = 4096


def general_conversations(count: int) -> list[list[Message]]:
    """The first questions of the list; the two languages take turns.

    Args:
        count: How many; all of them where there are fewer.
    """
    pairs = json.loads(files("qwen_pipeline.evaluation").joinpath(_FILE).read_text(encoding="utf-8"))
    return [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in pairs[:count]
    ]


def general_rows(tokenizer: Any, conversations: list[list[Message]]) -> list[dict[str, Any]]:
    """The same as rows for the likelihood.

    Args:
        tokenizer: The model's.
        conversations: Question and answer each.
    """
    encoder = TurnEncoder(tokenizer, LabelRules(max_sequence_length=_LONGEST))
    return [
        {"input_ids": turn.input_ids, "labels": turn.labels, "example_id": f"general-{number}"}
        for number, conversation in enumerate(conversations)
        for turn in encoder.encode(conversation)
        if isinstance(turn, EncodedTurn)
    ]
