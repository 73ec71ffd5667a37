"""Where the header of a table is, among titles and notes that people put above it."""

import re
from collections.abc import Mapping, Sequence

from qwen_pipeline.text.formats.records import is_record

MOST_ROWS_ABOVE = 10
_SENTENCE = re.compile(r"[?？。！!]|.{25}", re.DOTALL)


def find_header(rows: Sequence[Sequence[str]], column_map: Mapping[str, str]) -> int | None:
    """The place of the first of some rows whose cells name a question and an answer, or None."""
    return next(
        (at for at, row in enumerate(rows[:MOST_ROWS_ABOVE]) if is_record(list(row), column_map)), None
    )


def is_data(row: Sequence[str]) -> bool:
    """Whether a row of two columns is itself a question and its answer, so that the table has no header."""
    return len(row) == 2 and all(row) and bool(_SENTENCE.search(row[0] + row[1]))
