"""Marks right behind an item's number, as ``1、问：…`` and ``①Q: …``: the numbers are taken off.

Only where no question has a mark at the line's start: else such items are those of a list in an answer.
"""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import count_markers, find_mark

_NUMBER = re.compile(
    rf"[{EDGES}]*(?:[0-9０-９]{{1,4}}[.)）、．]|[（(][0-9０-９]{{1,4}}[)）]|[①-⑳]|[一二三四五六七八九十]{{1,3}}、)[{EDGES}]*(?=\S)"
)


def marks_behind_numbers(head: list[MarkedLine]) -> Rewrite | None:
    """What takes the numbers in front of marks off a document's lines; None where its marks have none.

    Args:
        head: The document's beginning.
    """
    if count_markers(head)[0]:
        return None
    questions, answers = count_markers(_without_numbers(head))
    return _without_numbers if questions and answers else None


def _without_numbers(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    for line in lines:
        number = None if line.fenced or line.level else _NUMBER.match(line.text)
        bare = line._replace(text=line.text[number.end() :]) if number else line
        yield bare if number and find_mark(bare) else line
