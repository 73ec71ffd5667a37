"""The earlier turns of a record, as Alpaca and its relatives keep them beside the question."""

import json
from typing import Any

from qwen_pipeline.text.formats.row import Message
from qwen_pipeline.text.formats.turns import text_of, turns_of


def turns_of_history(given: Any) -> list[Message] | None:
    """The turns in a list of pairs of question and answer, of turns, or of texts that alternate.

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
