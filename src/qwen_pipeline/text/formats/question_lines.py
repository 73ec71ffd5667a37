"""Documents whose questions are bold, numbered or quoted lines that end with a question mark, or ask without one."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise, takewhile

from qwen_pipeline.text.formats.answer_text import ANSWER_MARK, tidy_question, unmarked_answer
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.headings import looks_like_question
from qwen_pipeline.text.formats.marked_lines import EDGES, INVISIBLE, MarkedLine
from qwen_pipeline.text.formats.number_gaps import left_out, number_of, question_of
from qwen_pipeline.text.formats.row import Row

_DEEP_NUMBER = r"[0-9]{1,3}(?:[.．][0-9]{1,3}){1,2}(?:\s*[.．、:：)）]|\s)"
NUMBER = rf"(?:{_DEEP_NUMBER}|[0-9０-９]{{1,4}}\s*[.．、:：)）]|[①-⑳]|[（(][0-9]{{1,4}}[)）]|[一二三四五六七八九十]{{1,3}}、)"
_ITEM = rf"[{EDGES}]*(?:[-*+•][ \t]+)?(?:{NUMBER}\s*)?"
_BOLD = rf"(?:\*\*|__)\s*(?:{NUMBER}\s*)?(?P<question>[^*\n]{{1,300}}[?？])\s*(?:\*\*|__)"
# In this order: a document that has lines of one style may have the next one's inside its answers.
_STYLES = (
    re.compile(
        rf"[{EDGES}]*(?:{NUMBER}\s*)?{_BOLD}\s*$|[{EDGES}]*{NUMBER}\s*(?P<plain>[^\n]{{1,300}}[?？])\s*$"
    ),
    re.compile(rf"[{EDGES}]*>[ \t]*(?:\*\*|__)?(?P<question>[^>\n]{{1,300}}?[?？])(?:\*\*|__)?\s*$"),
    re.compile(rf"{_ITEM}{_BOLD}[ \t]*[:：—–-]?[ \t]*(?P<rest>[^\n]*)$"),
)
# Without a mark: a line by itself, bold or numbered. A document has this style if nearly all such lines ask by their words.
_BARE = re.compile(
    rf"[{EDGES}]*(?:(?:{NUMBER}\s*)?(?:\*\*|__)\s*(?:{NUMBER}\s*)?(?P<question>[^*\n]{{1,80}})(?:\*\*|__)"
    rf"|{NUMBER}\s*(?P<plain>[^\n]{{1,80}}))\s*$"
)
# An item of a list, at the margin: a document has this style if something is indented under each such item.
_ITEM_THAT_ASKS = re.compile(r"[-*+•][ \t]+(?!\[[ xX]\])(?P<question>[^\n]{1,300}[?？])[ \t]*$")
# Among bold lines that ask, one with the next number is a question without a question mark.
_BOLD_NUMBERED = re.compile(
    rf"[{EDGES}]*(?P<before>{NUMBER})?\s*(?:\*\*|__)\s*(?P<inside>{NUMBER})?\s*(?P<question>[^*\n]{{1,80}})(?:\*\*|__)\s*$"
)
_SHARE_THAT_ASKS = 0.8
_LEAST_QUESTIONS = 2
_MOST_LINES = 100  # above the first question, that are looked at for one


def question_style(lines: Iterable[MarkedLine]) -> re.Pattern[str] | None:
    """The first style of which the document has at least two lines: bold or numbered, quoted, bold with the answer behind it, items."""
    lines = list(lines)
    counts = ((style, count_question_lines(lines, style)) for style in _STYLES)
    marked = next((style for style, count in counts if count >= _LEAST_QUESTIONS), None)
    if marked or _are_answered_inside(lines):
        return marked or _ITEM_THAT_ASKS
    return _BARE if _ask_without_mark(lines) else None


def count_question_lines(lines: Iterable[MarkedLine], style: re.Pattern[str]) -> int:
    """How many lines are questions of a style."""
    return sum(_find(line, style) is not None for line in lines)


def lines_before_questions(lines: Iterable[MarkedLine], style: re.Pattern[str]) -> Iterator[MarkedLine]:
    """The lines above the first question of a style."""
    return takewhile(lambda line: _find(line, style) is None, lines)


def _are_answered_inside(lines: list[MarkedLine]) -> bool:
    """Whether the items that ask are answered in what is indented under them."""
    said = [line for line in lines if not line.blank]
    if not said:
        return False
    under = [below.text for line, below in pairwise([*said, said[-1]]) if _find(line, _ITEM_THAT_ASKS)]
    return len(under) >= _LEAST_QUESTIONS and all(text[0] in EDGES for text in under)


def _ask_without_mark(lines: list[MarkedLine]) -> bool:
    """Whether the bold or numbered lines of a document ask, each with something under it: else they are steps or contents."""
    found = [_find(line, _BARE) for line in lines if not line.blank]
    asked = [one for one in found if one]
    asking = sum(looks_like_question(one["question"] or one["plain"]) for one in asked)
    answered = sum(bool(one) and under is None for one, under in pairwise([*found, True]))
    enough = max(_LEAST_QUESTIONS, _SHARE_THAT_ASKS * len(asked))
    return asking >= enough and answered == len(asked)


def read_question_lines(lines: Iterable[MarkedLine], style: re.Pattern[str]) -> Iterator[Row]:
    """A row for every question line; its answer ends at the next one or at a heading.

    Args:
        lines: All lines.
        style: What a question line looks like, as `question_style` finds it.
    """
    question, start, at, last = "", "", None, 0
    answer: list[MarkedLine] = []  # before the first question the lines that may hold one
    own = _outdented if style is _ITEM_THAT_ASKS else list
    plain = 0  # the last question's number, where it stands before text that is not bold
    for line in lines:
        found, number = _find(line, style), _bold_number(line)
        if number and number[0] == last + 1:
            found = number[1]
        last = number[0] if found is not None and number else last
        if found is not None or line.level:
            numbered = number_of(line) if found is not None else None
            yield from _rows(question, at, start, own(answer), left_out(answer, plain, numbered))
            question, start, at, answer = "", "", None, []
            plain = numbered[1] if numbered else 0
        if found is not None:
            groups = found.groupdict()
            question = (groups["question"] or groups.get("plain") or "").strip(EDGES)
            start, at = (groups.get("rest") or "").strip(EDGES), line
        elif not line.level:
            answer.append(line)
            if at is None and len(answer) > _MOST_LINES:
                answer.pop(0)
    yield from _rows(question, at, start, own(answer), [])


def _outdented(lines: list[MarkedLine]) -> list[MarkedLine]:
    """The lines without the indent that all of them have."""
    texts = textwrap.dedent("\n".join(line.text for line in lines)).split("\n")
    return [line._replace(text=text) for line, text in zip(lines, texts, strict=False)]


def _rows(
    question: str, at: MarkedLine | None, start: str, lines: list[MarkedLine], places: list[int]
) -> Iterator[Row]:
    """A row for a question, and one for each question without a mark at some places of what follows it."""
    ends = [*places, len(lines)]
    if at is not None:
        yield _row(question, at, start, lines[: ends[0]])
    for place, end in pairwise(ends):
        yield _row(question_of(lines[place]), lines[place], "", lines[place + 1 : end])


def _find(line: MarkedLine, style: re.Pattern[str]) -> re.Match[str] | None:
    if line.fenced or (style is not _BARE and "?" not in line.text and "？" not in line.text):
        return None
    return style.match(line.text.lstrip(INVISIBLE))


def _bold_number(line: MarkedLine) -> tuple[int, re.Match[str]] | None:
    """The number of a line that is bold as a whole, and what was found; None for any other line."""
    found = None if line.fenced else _BOLD_NUMBERED.match(line.text.lstrip(INVISIBLE))
    digits = (
        re.match(r"\D?([0-9]{1,4})\D*$", (found["before"] or found["inside"] or "").strip())
        if found
        else None
    )
    return (int(digits[1]), found) if found and digits else None


def _row(question: str, at: MarkedLine, start: str, lines: list[MarkedLine]) -> Row:
    answer = ANSWER_MARK.sub("", unmarked_answer(start, lines), count=1)
    return row_of_pair(at, tidy_question(question), answer, lines)
