"""Documents whose marks have a stop, no sign at all, or another language's letters. They become marks with a colon.

``Q.1 …``, ``Q. …``, ``Q1　…`` and their answers; ``F:``/``A:``, ``Q :``/``R :``, ``В:``/``О:`` and the like. One such line
alone says little: ``A.`` also begins an option or a list, ``C:`` a path. So the document's beginning decides, and an
answer's mark counts only right after a question.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import count_markers, find_mark

Rewrite = Callable[[Iterable[MarkedLine]], Iterator[MarkedLine]]
_BEFORE = rf"(?P<before>[{EDGES}]*(?:[-*+][ \t]+)?(?:\*\*|__)?)"
_MARK = re.compile(
    rf"{_BEFORE}(?P<letter>[QAＱＡ])(?:[.．][ \t]?(?P<number>[0-9]{{1,4}})[.:)]?(?=[\s*_])|\.(?=[\s*_])|．"
    r"|(?P<bare>[0-9]{1,9})(?:[ \t\u3000]+(?=[^\s:：.．、)）\-–—])|(?=[\u3040-\u30ff\u4e00-\u9fff])))"
)
_OPTION = re.compile(rf"[{EDGES}]*B[.．)、:：]\s?")
_LETTERS = (
    "QR",
    "FA",
    "PR",
    "ВО",
    "SC",
    "سج",
    "문답",
)  # French, German, Romance, Russian, Turkish, Arabic, Korean
_LETTER = re.compile(
    rf"{_BEFORE}(?P<letter>[{''.join(_LETTERS)}])[ \t]?(?P<number>[0-9]{{1,4}})?[ \t\u00a0\u202f]*[:：]"
)
_LEAST_ANSWERED = 0.5
_LEAST_PAIRS, _LEAST_OF_LETTERS = 2, 0.8


def colon_marks(head: list[MarkedLine]) -> Rewrite | None:
    """What turns the document's marks into marks with a colon; None where it has none of these.

    Args:
        head: The document's beginning.
    """
    if any(_MARK.match(line.text) for line in head):
        has_options = any(_OPTION.match(line.text) for line in head if not line.fenced)

        def rewrite(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
            return _with_colons(lines, plain_answers=not has_options)

        rewritten = list(rewrite(head))
        questions, answers = count_markers(rewritten)
        if rewritten != head and questions and answers >= _LEAST_ANSWERED * questions:
            return rewrite
    return _letters(head)


def _with_colons(lines: Iterable[MarkedLine], plain_answers: bool) -> Iterator[MarkedLine]:
    """The lines with ``Q1:`` for ``Q.1``, and ``A:`` for an ``A.`` that follows a question.

    Args:
        lines: All lines.
        plain_answers: Whether an ``A.`` without a number may be an answer, as where no ``B.`` follows it.
    """
    is_asked, last = False, ""
    for line in lines:
        found = None if line.fenced or line.level else _MARK.match(line.text)
        if found and _counts(found, is_asked, last, plain_answers):
            letter = "Q" if found["letter"] in "QＱ" else "A"
            mark = f"{found['before']}{letter}{found['number'] or found['bare'] or ''}:"
            line = line._replace(text=mark + line.text[found.end() :])
        if (mark_found := find_mark(line)) is not None:
            is_asked = mark_found.is_question
            last = mark_found.number if is_asked else last
        yield line


def _counts(found: re.Match[str], is_asked: bool, last: str, plain_answers: bool) -> bool:
    """Whether a mark is one at its place: ``A4`` is also paper and ``Q3`` a quarter, so that bare numbers must go on."""
    is_question, bare = found["letter"] in "QＱ", found["bare"]
    if bare and is_question:
        return not last.isdecimal() or int(bare) == int(last) + 1
    if bare:
        return is_asked and bare == last
    return is_question or (is_asked and (plain_answers or bool(found["number"])))


def _letters(head: list[MarkedLine]) -> Rewrite | None:
    """The same for pairs of letters of other languages, where both are about as many and neither is known as it stands."""
    begun = [
        found["letter"]
        for line in head
        if (":" in line.text or "：" in line.text) and not line.fenced and (found := _LETTER.match(line.text))
    ]
    counts = Counter(begun)
    for first, second in (tuple(letters) for letters in _LETTERS):
        asked, answered = counts[first], counts[second]
        least = max(_LEAST_PAIRS, _LEAST_OF_LETTERS * asked)
        if asked < _LEAST_PAIRS or answered < least or begun.index(first) > begun.index(second):
            continue
        questions, answers = count_markers(head)
        if not (questions and first != "Q") and not (answers and second != "A"):
            return partial(_with_known_letters, first, second)
    return None


def _with_known_letters(first: str, second: str, lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    is_asked = False
    for line in lines:
        found = None if line.fenced or line.level else _LETTER.match(line.text)
        if found and (found["letter"] == first or (found["letter"] == second and is_asked)):
            is_asked = found["letter"] == first
            known = f"{found['before']}{'Q' if is_asked else 'A'}{found['number'] or ''}:"
            line = line._replace(text=known + line.text[found.end() :])
        yield line
