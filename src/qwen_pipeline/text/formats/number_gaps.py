"""Questions without a question mark among numbered ones that have it: ``2、简述…`` between ``1、…？`` and ``3、…？``.

A list in an answer has such numbers too. So a line counts only where the questions around it leave out its number, and
where no other line between them has it.
"""

import re
from collections.abc import Sequence

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine

_NUMBERED = re.compile(
    rf"[{EDGES}]*(?:(?P<digits>[0-9]{{1,4}})\s*(?P<sign>[.．、:：)）])|(?P<chinese>[一二三四五六七八九十]{{1,3}})、)\s*(?P<question>[^\s*_].*)",
    re.DOTALL,
)
_CHINESE = "一二三四五六七八九"
_MOST_LEFT_OUT, _LONGEST_QUESTION = 3, 80

Number = tuple[str, int]  # the sign behind it, and its value


def number_of(line: MarkedLine) -> Number | None:
    """The number that a line begins with; None where it begins with none, or is code."""
    found = None if line.fenced else _NUMBERED.match(line.text)
    if found is None:
        return None
    return (found["sign"], int(found["digits"])) if found["digits"] else ("", _value(found["chinese"]))


def question_of(line: MarkedLine) -> str:
    """The text behind the number of a line that has one."""
    found = _NUMBERED.match(line.text)
    return found["question"].strip(EDGES) if found else ""


def left_out(lines: Sequence[MarkedLine], before: int, after: Number | None) -> list[int]:
    """Where the questions are that stand between two others.

    None unless the numbers between theirs are there, no others, and text under each.

    Args:
        lines: What stands between the two.
        before: The number of the first, 0 for none.
        after: The number of the second.
    """
    if after is None or not 1 < after[1] - before <= _MOST_LEFT_OUT + 1:
        return []
    found = [
        (at, number[1])
        for at, line in enumerate(lines)
        if (number := number_of(line)) and number[0] == after[0]
    ]
    places = [at for at, _ in found]
    values = [value for _, value in found]
    ends = [*places[1:], len(lines)]
    are_questions = all(
        len(question_of(lines[at])) <= _LONGEST_QUESTION
        and any(not line.blank for line in lines[at + 1 : end])
        for at, end in zip(places, ends, strict=False)
    )
    return places if are_questions and values == list(range(before + 1, after[1])) else []


def _value(chinese: str) -> int:
    tens, ten, ones = chinese.rpartition("十")
    of_tens = 10 * (_CHINESE.find(tens) + 1 if tens else 1) if ten else 0
    return of_tens + (_CHINESE.find(ones) + 1 if ones else 0)
