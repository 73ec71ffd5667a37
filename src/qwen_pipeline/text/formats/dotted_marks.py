"""Documents that mark with a stop: ``Q.1 …``, ``Q. …``, and answers ``A. …``. They become marks with a colon.

One such line alone says little: ``A.`` also begins an option or a list. So the document's beginning decides, and an
answer's mark counts only right after a question.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import count_markers, find_mark

_MARK = re.compile(
    rf"(?P<before>[{EDGES}]*(?:\*\*|__)?)(?P<letter>[QA])(?:\.[ \t]?(?P<number>[0-9]{{1,4}})[.:)]?|\.)(?=[\s*_])"
)
_OPTION = re.compile(rf"[{EDGES}]*B[.)、:：]\s")
_LEAST_ANSWERED = 0.5


def colon_marks(head: list[MarkedLine]) -> Callable[[Iterable[MarkedLine]], Iterator[MarkedLine]] | None:
    """What turns the document's marks into marks with a colon; None where it has none with a stop.

    Args:
        head: The document's beginning.
    """
    if not any(_MARK.match(line.text) for line in head):
        return None
    has_options = any(_OPTION.match(line.text) for line in head if not line.fenced)

    def rewrite(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
        return _with_colons(lines, plain_answers=not has_options)

    rewritten = list(rewrite(head))
    if rewritten == head:
        return None
    questions, answers = count_markers(rewritten)
    return rewrite if questions and answers >= _LEAST_ANSWERED * questions else None


def _with_colons(lines: Iterable[MarkedLine], plain_answers: bool) -> Iterator[MarkedLine]:
    """The lines with ``Q1:`` for ``Q.1``, and ``A:`` for an ``A.`` that follows a question.

    Args:
        lines: All lines.
        plain_answers: Whether an ``A.`` without a number may be an answer, as where no ``B.`` follows it.
    """
    is_asked = False
    for line in lines:
        found = None if line.fenced or line.level else _MARK.match(line.text)
        if found and (found["letter"] == "Q" or (is_asked and (plain_answers or found["number"]))):
            mark = f"{found['before']}{found['letter']}{found['number'] or ''}:"
            line = line._replace(text=mark + line.text[found.end() :])
        if (mark_found := find_mark(line)) is not None:
            is_asked = mark_found.is_question
        yield line
