"""Documents whose marks have a stop, no sign at all, or another language's letters. They become marks with a colon.

``Q.1 …``, ``Q. …``, ``Q1　…`` and their answers; ``F:``/``A:``, ``Q :``/``R :``, ``В:``/``О:`` and the like. One such line
alone says little: ``A.`` also begins an option or a list, ``C:`` a path. So the document's beginning decides, and an
answer's mark counts only right after a question.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from qwen_pipeline.text.formats.headings import looks_like_question
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import count_markers, find_mark

_BEFORE = rf"(?P<before>[{EDGES}]*(?:[-*+][ \t]+)?(?:\*\*|__)?)"
_MARK = re.compile(
    rf"{_BEFORE}(?P<letter>[QAＱＡ])(?:[.．][ \t]?(?P<number>[0-9]{{1,4}})[.:)]?(?=[\s*_])|\.(?=[\s*_])|[．。]"
    r"|(?P<bare>[0-9]{1,9})(?:[ \t\u3000]+(?=[^\s:：.．、)）\-–—])|(?=[\u3040-\u30ff\u4e00-\u9fff])))"
)
_FIRST_OPTION = re.compile(rf"[{EDGES}]*A[.．)、:：]\s?")
_OPTION = re.compile(rf"[{EDGES}]*B[.．)、:：]\s?")
# French, German, Romance, Russian, Turkish, Arabic, Korean
_LETTERS = ("QR", "FA", "PR", "ВО", "SC", "سج", "문답")
_LETTER = re.compile(
    rf"{_BEFORE}(?P<letter>[{''.join(_LETTERS)}])[ \t]?(?P<number>[0-9]{{1,4}})?(?:[ \t\u00a0\u202f]*[:：]|\.(?=\*\*|[ \t]))"
)
_LEAST_ANSWERED = 0.5
_LEAST_PAIRS, _LEAST_OF_LETTERS = 2, 0.8


def colon_marks(head: list[MarkedLine]) -> Rewrite | None:
    """What turns the document's marks into marks with a colon; None where it has none of these.

    Args:
        head: The document's beginning.
    """
    found = [one for line in head if not line.fenced and (one := _MARK.match(line.text))]
    if found:
        plain = not _has_options(head)
        kinds = frozenset(
            kind for kind in set(map(_kind, found)) if _answers(head, plain, frozenset((kind,)))
        )
        if kinds or _answers(head, plain, frozenset()):
            return partial(_with_colons, plain_answers=plain, kinds=kinds)
    return _letters(head)


def _kind(found: re.Match[str]) -> str:
    """Of a question's mark: ``Q1 …``, or ``Q.1 …`` and ``Q. …``."""
    return "bare" if found["bare"] else "dot"


def _has_options(head: list[MarkedLine]) -> bool:
    """Whether a question's first ``A.`` is an option: a ``B.`` follows before anything else."""
    last = ""
    for line in head:
        if found := _MARK.match(line.text):
            is_first = last == "Q"
            last = "Q" if found["letter"] in "QＱ" else "A" if is_first else ""
        elif _FIRST_OPTION.match(line.text):
            last = ""
        elif last == "A" and _OPTION.match(line.text):
            return True
    return False


def _answers(head: list[MarkedLine], plain: bool, kinds: frozenset[str]) -> bool:
    """Whether most of the questions of these kinds have an answer, and more than there are answers without a question.

    Else they are other things in the answers of a document that is marked otherwise: quarters (``Q3 2024``), initials.
    Without a kind it is the questions with a colon, and answers' marks that are rewritten.
    """
    asked = answered = without = 0
    is_open = is_new = False
    for before, after in zip(head, _with_colons(head, plain, kinds), strict=True):
        mark = find_mark(after)
        if mark is None:
            continue
        if mark.is_question:
            is_open, is_new = True, after is not before
            asked += is_new or not kinds
        if not mark.is_question or count_markers([after])[1]:
            answered += is_open and (is_new if kinds else after is not before)
            without += not is_open
            is_open = False
    return answered >= _LEAST_ANSWERED * asked and answered > without


def _with_colons(
    lines: Iterable[MarkedLine], plain_answers: bool, kinds: frozenset[str]
) -> Iterator[MarkedLine]:
    """The lines with ``Q1:`` for ``Q.1``, and ``A:`` for an ``A.`` that follows a question.

    Args:
        lines: All lines.
        plain_answers: Whether an ``A.`` without a number may be an answer, as where no ``B.`` follows it.
        kinds: Which questions' marks the document has.
    """
    is_asked, last = False, ""
    for line in lines:
        found = None if line.fenced else _MARK.match(line.text)
        letter = "Q" if found and found["letter"] in "QＱ" else "A"
        if found and letter == "Q" and _kind(found) not in kinds:
            found = None
        if found and _counts(found, is_asked, last, plain_answers):
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
    marked = [
        (at, found["letter"])
        for at, line in enumerate(head)
        if not line.fenced and (found := _LETTER.match(line.title or line.text))
    ]
    begun = [letter for _, letter in marked]
    counts = Counter(begun)
    for first, second in (tuple(letters) for letters in _LETTERS):
        asked, answered = counts[first], counts[second]
        least = max(_LEAST_PAIRS, _LEAST_OF_LETTERS * asked)
        if asked < _LEAST_PAIRS or answered < least or begun.index(first) > begun.index(second):
            continue
        if not _are_questions(head, [at for at, letter in marked if letter == first]):
            continue
        questions, answers = count_markers(head)
        if not (questions and first != "Q") and not (answers and second != "A"):
            return partial(_with_known_letters, first, second)
    return None


def _are_questions(head: list[MarkedLine], places: list[int]) -> bool:
    """Whether marked lines open the document or one asks: else they are a legend, a recipe or figures in an answer."""
    opening = head[: places[0]]
    if all(line.blank or (line.level and not looks_like_question(line.title)) for line in opening):
        return True
    return any(not {"?", "？", "؟"}.isdisjoint(head[at].text) for at in places)


def _with_known_letters(first: str, second: str, lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    is_asked = False
    for line in lines:
        text = line.title or line.text
        found = None if line.fenced else _LETTER.match(text)
        if found and (found["letter"] == first or (found["letter"] == second and is_asked)):
            is_asked = found["letter"] == first
            text = f"{found['before']}{'Q' if is_asked else 'A'}{found['number'] or ''}:{text[found.end() :]}"
            line = line._replace(text=text, title=text if line.level else "")
        yield line
