"""Show rows as the model will see them: trained tokens in colour, context dimmed.

What is coloured is what gets a loss. A wrong template, a missing end of turn or an empty thinking block
that should not be trained is seen here, before hours of training.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from rich.text import Text
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat import IGNORE_INDEX

TRAINED_STYLE, CONTEXT_STYLE, HEADER_STYLE = "bold green", "dim", "bold"


def preview_rows(tokenizer: Tokenizer, rows: Iterable[Mapping[str, Any]], count: int) -> Iterator[Text]:
    """Render the first rows of a tokenized split.

    Args:
        tokenizer: The one the rows were made with.
        rows: ``input_ids``, ``labels`` and ``example_id`` of each.
        count: How many to render.

    Yields:
        Text for a rich console, one a row.
    """
    for row in islice(rows, count):
        yield _header(row)
        yield render_row(tokenizer, row["input_ids"], row["labels"])


def render_row(tokenizer: Tokenizer, input_ids: Sequence[int], labels: Sequence[int]) -> Text:
    """One row's text, control tokens included; runs with a loss have ``TRAINED_STYLE``."""
    rendered = Text()
    pairs = zip(input_ids, labels, strict=True)
    for trained, run in groupby(pairs, key=lambda pair: pair[1] != IGNORE_INDEX):
        text = tokenizer.decode([id_ for id_, _ in run], skip_special_tokens=False)
        rendered.append(text, style=TRAINED_STYLE if trained else CONTEXT_STYLE)
    return rendered


def _header(row: Mapping[str, Any]) -> Text:
    trained = sum(label != IGNORE_INDEX for label in row["labels"])
    line = f"── {row['example_id']}: {len(row['input_ids'])} tokens, {trained} of them trained"
    return Text(line, style=HEADER_STYLE)
