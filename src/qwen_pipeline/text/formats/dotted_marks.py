"""Documents whose marks have a stop, no sign at all, or another language's letters. They become marks with a colon.

``Q.1 …``, ``Q. …``, ``Q1　…`` and their answers; ``F:``/``A:``, ``Q :``/``R :``, ``В:``/``О:`` and the like. One such line
alone says little: ``A.`` also begins an option or a list, ``C:`` a path. So the document's beginning decides, and an
answer's mark counts only right after a question.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import count_markers, find_mark

Rewrite = Callable[[Iterable[MarkedLine]], Iterator[MarkedLine]]
_BEFORE = rf"(?P<before>[{EDGES}]*(?:[-*+][ \t]+)?(?:\*\*|__)?)"
_MARK = re.compile(
    rf"{_BEFORE}(?P<letter>[QAＱＡ])(?:[.．][ \t]?(?P<number>[0-9]{{1,4}})[.:)]?(?=[\s*_])|\.(?=[\s*_])|．"
    r"|(?P<bare>[0-9]{1,4})(?:[ \t\u3000]+(?=[^\s:：.．、)）\-–—])|(?=[\u3040-\u30ff\u4e00-\u9fff])))"
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
    questions, answers = count_markers(head)
    for letters in _LETTERS:
        if (questions and letters[0] != "Q") or (answers and letters[1] != "A"):
            continue
        mark = re.compile(
            rf"{_BEFORE}(?P<letter>[{letters}])[ \t]?(?P<number>[0-9]{{1,4}})?[ \t\u00a0\u202f]*[:：]"
        )
        begun = [found["letter"] for line in head if not line.fenced and (found := mark.match(line.text))]
        asked, answered = (begun.count(letter) for letter in letters)
        least = max(_LEAST_PAIRS, _LEAST_OF_LETTERS * asked)
        if begun and begun[0] == letters[0] and asked >= _LEAST_PAIRS and answered >= least:
            return partial(_with_known_letters, mark, letters[0])
    return None


def _with_known_letters(
    mark: re.Pattern[str], first: str, lines: Iterable[MarkedLine]
) -> Iterator[MarkedLine]:
    is_asked = False
    for line in lines:
        found = None if line.fenced or line.level else mark.match(line.text)
        if found and (found["letter"] == first or is_asked):
            is_asked = found["letter"] == first
            known = f"{found['before']}{'Q' if is_asked else 'A'}{found['number'] or ''}:"
            line = line._replace(text=known + line.text[found.end() :])
        yield line
