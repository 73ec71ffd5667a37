"""The columns of the tables between the stages, and the fixed set of reasons for a reject."""

from enum import StrEnum

import pyarrow as pa

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])

EXAMPLE_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("encoding", pa.string()),
        ("encoding_confidence", pa.float64()),
    ]
)
CLEAN_SCHEMA = pa.schema([*EXAMPLE_SCHEMA, ("repairs", pa.list_(pa.string())), ("split", pa.string())])
REJECT_SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("excerpt", pa.string()),
    ]
)
DUPLICATE_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("kind", pa.string()),
        ("duplicate_of", pa.string()),
        ("question_similarity", pa.float64()),
        ("answer_similarity", pa.float64()),
        ("excerpt", pa.string()),
    ]
)
EXCERPT_CHARACTERS = 120


class RejectReason(StrEnum):
    """Why a row or a file did not become an example."""

    EMPTY_FILE = "empty_file"
    BINARY_FILE = "binary_file"
    UNKNOWN_FORMAT = "unknown_format"
    UNREADABLE_FILE = "unreadable_file"
    NO_PAIRS = "no_pairs"
    MALFORMED_ROW = "malformed_row"
    UNKNOWN_FIELDS = "unknown_fields"
    MISSING_QUESTION = "missing_question"
    MISSING_ANSWER = "missing_answer"
    UNKNOWN_ROLE = "unknown_role"
    TOOL_TURNS = "tool_turns"
    UNDESIRED_ANSWER = "undesired_answer"
    UNREPAIRABLE_TEXT = "unrepairable_text"
    EMPTY_QUESTION = "empty_question"
    EMPTY_ANSWER = "empty_answer"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITIVE = "repetitive"
    WRONG_LANGUAGE = "wrong_language"
    NEAR_DUPLICATE_OF_HELDOUT = "near_duplicate_of_heldout"
    ANSWER_TOO_LONG = "answer_too_long"
    QUESTION_TOO_LONG = "question_too_long"
    NO_TRAINED_TOKEN = "no_trained_token"
    NO_REASONING = "no_reasoning"
    PROMPT_MISMATCH = "prompt_mismatch"
    CONTROL_TOKEN = "control_token"
    TEMPLATE_ERROR = "template_error"


def excerpt_of(text: str) -> str:
    """The beginning of ``text`` on one line, short enough for a report."""
    return " ".join(text[: 4 * EXCERPT_CHARACTERS].split())[:EXCERPT_CHARACTERS]
