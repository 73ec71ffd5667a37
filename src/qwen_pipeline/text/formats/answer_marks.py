"""Documents that mark the answers alone: ``1、…`` or a plain line, and ``答：…`` under it. Such questions get a mark too.

The line that asks is told by its place above the answer's mark, whether or not it ends with a question mark: the number
that follows the last question's, else the nearest numbered or bold line, else the paragraph.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from qwen_pipeline.text.formats.answer_text import CHAPTER
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import BULLETS, count_markers, find_mark
from qwen_pipeline.text.formats.question_lines import NUMBER

_CHINESE = "一二三四五六七八九十"
_ITEM = re.compile(
    rf"[{EDGES}]*(?P<bold>\*\*|__)?[{EDGES}]*(?P<number>第[0-9{_CHINESE}]{{1,4}}题[.．、:：]?|[（(][{_CHINESE}]{{1,3}}[)）]|{NUMBER}|[{BULLETS}]+"
    rf"|(?:练习|习题|思考题|例题?|Exercise|Problem)[ \t]*[0-9]{{1,4}}(?P<closed>\*\*|__)?[{EDGES}]*[.．、:：](?P<closed_behind>\*\*|__)?)?"
    rf"[{EDGES}]*(?:记者(?:提?问)?[:：][{EDGES}]*)?(?P<rest>\S.*)",
    re.DOTALL,
)
_OPTION = re.compile(rf"[{EDGES}]*[（(]?[A-Ha-h][)）.．、:：]")
_FIRST_OPTION = re.compile(rf"[{EDGES}]*[AＡ][:：]")
_SECOND_OPTION = re.compile(rf"[{EDGES}]*[BＢ][:：]")
_DIGITS = re.compile(r"[0-9]+")
_MOST_LINES = 100  # between two answers' marks, that are looked at for the question
_LEAST_ANSWERS = 2
_LEAST_ASKED = 0.8


def ask_above_answers(
    head: list[MarkedLine],
) -> Callable[[Iterable[MarkedLine]], Iterator[MarkedLine]] | None:
    """What puts a question's mark above each answer's mark; None where the document is not written so.

    Args:
        head: The document's beginning, without a question's mark.
    """
    answers = count_markers(head)[1]
    if answers < _LEAST_ANSWERS or _are_options(head):
        return None
    return _with_questions if count_markers(_with_questions(head))[0] >= _LEAST_ASKED * answers else None


def _are_options(head: list[MarkedLine]) -> bool:
    """Whether most answers' marks are the ``A:`` of a choice: the next line that is not blank begins with ``B:``."""
    texts = [line.text for line in head if not line.blank and not line.fenced]
    firsts = [under for text, under in pairwise(texts) if _FIRST_OPTION.match(text)]
    options = sum(bool(_SECOND_OPTION.match(under)) for under in firsts)
    return bool(options) and options >= 0.5 * len(firsts)


def _with_questions(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    held: list[MarkedLine] = []
    last_number, are_plain = 0, None
    for line in lines:
        mark = find_mark(line)
        if mark is None or mark.is_question:
            held.append(line)
            if len(held) > _MOST_LINES:
                yield held.pop(0)
            continue
        # Questions that have no number, or a Chinese one, so far: a 1 above an answer is its predecessor's list.
        is_next = last_number + 1 if last_number or are_plain is None else None
        at = _find_question(held, is_next, bool(are_plain))
        if at is not None:
            number, rest = _parts(held[at])
            last_number = number or last_number
            are_plain = are_plain is not False and not _is_item(held[at])
            held[at] = held[at]._replace(text=f"Q: {rest}", level=0, title="")
        yield from held
        yield line
        held = []
    yield from held


def _find_question(lines: list[MarkedLine], next_number: int | None, are_plain: bool) -> int | None:
    """Where the question begins that the end of some lines asks; None where nothing is there.

    Args:
        lines: What stands between two answers' marks.
        next_number: The number that the question should have; None where questions have no such number.
        are_plain: Whether no question before had a number, bold or a bullet: then items are those of an answer.
    """
    first, last = _paragraph(lines)
    if last < 0:
        return None
    items = [at for at in range(first, last + 1) if _is_item(lines[at]) and not are_plain]
    if next_number is None:
        items = [at for at in items if not _parts(lines[at])[0]] or items
    following = [at for at in items if _parts(lines[at])[0] == next_number]
    if following:  # an answer's own list may end with the same number; the question's may begin with it
        return first if first in following and first > 0 else following[-1]
    if items:
        return items[-1]
    while first < last and (lines[first].blank or CHAPTER.match(lines[first].text)):
        first += 1
    while last > first and _OPTION.match(lines[last].text):
        last -= 1
    return first if first > 0 else last


def _paragraph(lines: list[MarkedLine]) -> tuple[int, int]:
    """The first and the last line of the last paragraph; options of a choice belong to what stands before them."""
    last = len(lines) - 1
    while last >= 0 and lines[last].blank:
        last -= 1
    first = last
    while first > 0 and (not lines[first - 1].blank or _OPTION.match(lines[first].text)):
        first -= 1
    while first < last and lines[first].blank:
        first += 1
    return first, last


def _is_item(line: MarkedLine) -> bool:
    found = None if line.fenced or _OPTION.match(line.text) else _ITEM.match(line.title or line.text)
    return found is not None and bool(found["number"] or found["bold"] or line.level)


def _parts(line: MarkedLine) -> tuple[int, str]:
    """The number that a line begins with, 0 for none or another kind of number, and the text behind it."""
    found = _ITEM.match(line.title or line.text)
    if found is None:
        return 0, line.text
    digits = _DIGITS.search(found["number"] or "")
    bold = "" if found["closed"] or found["closed_behind"] else found["bold"] or ""
    return int(digits[0]) if digits else 0, bold + found["rest"]
