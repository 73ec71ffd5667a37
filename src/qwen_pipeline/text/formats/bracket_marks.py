"""Marks in brackets, ``(Q1)``/``(A1)``, callouts (``> [!question]``), and pairs on a line, several or behind a number. They become marks with a colon."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import count_markers, find_mark
from qwen_pipeline.text.formats.question_lines import NUMBER

_BRACKETED = re.compile(
    rf"(?P<before>[{EDGES}]*(?:\*\*)?)[（(](?P<letter>[QAＱＡ])[ .]?(?P<number>[0-9]{{1,4}})[)）][ \t.:：]*"
)
_CALLOUT = re.compile(
    r"[ \t]*>[ \t]*\[!(?:question|faq|help)\][-+]?[ \t]*(?P<title>\S.*)", re.IGNORECASE | re.DOTALL
)
_CALLOUT_OF_ANSWER = re.compile(
    r"[> \t]*\[!(?:answer|success|check|done)\][-+]?[ \t]*(?:answer|solution|答案|解答)?[ \t]*", re.IGNORECASE
)
_QUOTE = re.compile(r"[ \t]*>[ \t]?")
_PAIR_ON_LINE = re.compile(r"(?:(?<=[.!?。！？)）])[ \t]*|\A[ \t]*)(?=(?:Q|问|問)[0-9]{0,4}[:：])")
_WHOLE_PAIR = re.compile(
    r"(?:Q|问|問)[0-9]{0,4}[:：][^?？]{1,300}[?？][ \t]*(?:A|答)[0-9]{0,4}[:：][ \t]*\S.*", re.DOTALL
)
# ``1、…？答：…``: a number is the question's only mark
_NUMBERED_PAIR = re.compile(
    rf"[{EDGES}]*{NUMBER}[{EDGES}]*(?P<pair>[^?？]{{1,300}}[?？][{EDGES}]*(?:答案|回答|答)[:：].*\S.*)",
    re.DOTALL,
)
_LEAST_PAIRS = 2


def bracket_marks(head: list[MarkedLine]) -> Rewrite | None:
    """What turns such marks into marks with a colon; None where the document has none of them.

    Args:
        head: The document's beginning.
    """
    if any(_pairs_on_line(line) for line in head):
        return _cut_pairs
    starts = [line for line in head if line.text.lstrip(EDGES + "*")[:1] in tuple(">(（") and not line.fenced]
    rewrite = None
    if sum(_CALLOUT.match(line.text) is not None for line in starts) >= _LEAST_PAIRS:
        rewrite = _with_callouts
    elif sum("答" in line.text and _numbered_pair(line) is not None for line in head) >= _LEAST_PAIRS:
        rewrite = _with_numbered
    elif any(_BRACKETED.match(line.text) for line in starts):
        questions, answers = count_markers(_with_bracketed(head))
        rewrite = _with_bracketed if questions >= _LEAST_PAIRS and answers >= questions else None
    has_marks = rewrite and any((mark := find_mark(line)) and mark.is_question for line in head)
    return None if has_marks else rewrite


def _with_bracketed(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    """An answer's mark counts right after the question of its number; ``(A1)`` may also begin a line of the text."""
    asked = ""
    for line in lines:
        found = None if line.fenced else _BRACKETED.match(line.text)
        if found:
            is_question = found["letter"] in "QＱ"
            if is_question or asked == found["number"]:
                mark = f"{found['before']}{'Q' if is_question else 'A'}{found['number']}: "
                line = line._replace(text=mark + line.text[found.end() :])
                asked = found["number"] if is_question else ""
        yield line


def _numbered_pair(line: MarkedLine) -> re.Match[str] | None:
    return None if line.fenced else _NUMBERED_PAIR.match(line.text)


def _with_numbered(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    for line in lines:
        found = _numbered_pair(line)
        yield line._replace(text=f"Q: {found['pair']}") if found else line


def _with_callouts(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    """The first line behind a callout's title begins the answer; lines of the callout lose their ``>``."""
    is_asked = is_quoted = False
    for line in lines:
        if not line.fenced and (found := _CALLOUT.match(line.text)):
            is_asked, is_quoted = True, True
            yield line._replace(text=f"Q: {found['title']}")
            continue
        quote = _QUOTE.match(line.text) if is_quoted else None
        is_quoted = quote is not None
        if is_asked and not line.fenced and _CALLOUT_OF_ANSWER.fullmatch(line.text):
            is_quoted = True
            continue
        if quote:
            line = line._replace(text=line.text[quote.end() :])
        if is_asked and not line.blank and not line.level:
            is_asked = False
            yield line._replace(text="A:", fenced=False)
        yield line


def _pairs_on_line(line: MarkedLine) -> list[int]:
    """Where the pairs of a line begin, if it is nothing but two or more; an answer may also quote one within a sentence."""
    if line.fenced or not line.text.lstrip(EDGES).startswith(("Q", "问", "問")):
        return []
    if max(map(line.text.count, ("Q", "问", "問"))) < _LEAST_PAIRS:
        return []
    places = [found.end() for found in _PAIR_ON_LINE.finditer(line.text)]
    ends = [*places[1:], len(line.text)]
    parts = [line.text[start:end] for start, end in zip(places, ends, strict=False)]
    is_all = len(places) >= _LEAST_PAIRS and all(_WHOLE_PAIR.fullmatch(part) for part in parts)
    return places if is_all else []


def _cut_pairs(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    for line in lines:
        places = _pairs_on_line(line)
        for start, end in zip(places, [*places[1:], None], strict=False):
            yield line._replace(text=line.text[start:end], offset=line.offset + start)
        if not places:
            yield line
