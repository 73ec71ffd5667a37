"""Where the header of a table is, among titles and notes that people put above it."""

import re
from collections.abc import Mapping, Sequence

from qwen_pipeline.text.formats.field_roles import is_record
from qwen_pipeline.text.formats.multiple_choice import LETTERS

MOST_ROWS_ABOVE = 10
_FEWEST_OPTIONS = 2
_SENTENCE = re.compile(r"[?？。！!]|.{25}", re.DOTALL)


def find_header(rows: Sequence[Sequence[str]], column_map: Mapping[str, str]) -> int | None:
    """The place of the first of some rows whose cells name a question and an answer, or None."""
    return next(
        (at for at, row in enumerate(rows[:MOST_ROWS_ABOVE]) if is_record(list(row), column_map)), None
    )


def names_without_header(row: Sequence[str]) -> list[str] | None:
    """Names for the columns of a table whose first row is itself a question and its answer, else None.

    A number may stand before them, or the options of a choice between them, with a letter as the answer (MMLU).
    """
    options = LETTERS[: max(len(row) - 2, 0)]
    are_named = {"A", "B"} <= set(row)  # a header of choices without an answer
    if len(options) >= _FEWEST_OPTIONS and all(row) and row[-1] in list(options) and not are_named:
        return ["question", *options, "answer"]
    numbered = len(row) == 3 and row[0].isdecimal()
    texts = row[1:] if numbered else row
    if len(texts) != 2 or not all(texts) or not _SENTENCE.search(texts[0] + texts[1]):
        return None
    return ["number", "question", "answer"] if numbered else ["question", "answer"]


def fault_of_width(cells: int, columns: int) -> str:
    """What is wrong with a row of so many cells; empty where the header has as many."""
    return "" if cells == columns else f"{cells} cells where the header has {columns}"


def name_columns(header: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The columns' names and a note if one is repeated: the first keeps its name, the next ones get a number."""
    seen: dict[str, int] = {}
    names = []
    for name in header:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    repeated = any(count > 1 for name, count in seen.items() if name)
    return names, ("duplicate_column",) * repeated
