"""One example cleaned as its batch would be."""

from collections.abc import Sequence

from qwen_pipeline.text.clean_row import CleanRow, CleanRules, Fault, clean_messages
from qwen_pipeline.text.traits import traits_of


def clean_row(messages: Sequence[tuple[str, str]], source_file: str, rules: CleanRules) -> CleanRow | Fault:
    """The messages, pairs of role and content, made clean."""
    return clean_messages(messages, traits_of([text for _, text in messages]).tolist(), source_file, rules)
