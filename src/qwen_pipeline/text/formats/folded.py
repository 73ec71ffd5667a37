"""Documents that fold each answer away: ``<details><summary>question</summary>answer</details>``."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qwen_pipeline.text.formats.answer_text import (
    ANSWER_MARK,
    DETAILS,
    DETAILS_END,
    DETAILS_TAG,
    QUESTION_MARK,
    SUMMARY_END,
    cut_summary,
    tidy_question,
)
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.headings import looks_like_question
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.question_lines import NUMBER
from qwen_pipeline.text.formats.row import Row

_TAG = re.compile(r"</?(?:b|i|strong|em|u|h[1-6]|p|span|font|code)\b[^>]*>", re.IGNORECASE)
_NUMBERED = re.compile(rf"\A{NUMBER}\s*")
LEAST_QUESTIONS = 0.5  # of the summaries: other documents fold away logs and screenshots


def are_folded_answers(lines: Iterable[MarkedLine]) -> bool:
    """Whether the document folds text away mostly under questions."""
    summaries = [summary for _, block in _blocks(lines) if (summary := _summary(block)[0])]
    asked = sum(looks_like_question(summary) or bool(QUESTION_MARK.match(summary)) for summary in summaries)
    return bool(summaries) and asked >= LEAST_QUESTIONS * len(summaries)


def read_folded(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every folded block; text between the blocks belongs to the document."""
    for line, block in _blocks(lines):
        yield row_of_pair(line._replace(text=block), *_cut(block), [], "folded text without a question")


def _summary(block: str) -> tuple[str, str]:
    """Summary without tags, and answer of a block; both empty where it has no whole summary."""
    summary, answer = cut_summary(block)
    return (tidy_question(_TAG.sub("", summary)), answer) if summary else ("", "")


def without_mark(question: str) -> str:
    """A question without its mark, its number, or both."""
    return _NUMBERED.sub("", QUESTION_MARK.sub("", question))


def _cut(block: str) -> tuple[str, str]:
    """Question and answer of a block, without their marks."""
    summary, answer = _summary(block)
    return without_mark(summary).strip(EDGES + "\n"), ANSWER_MARK.sub("", answer.strip(EDGES + "\n"), count=1)


@dataclass
class _Block:
    """A ``<details>`` as it is being read.

    Attributes:
        line: Where it begins.
        start: The part of the text behind its opening tag.
        end: The part that is its closing tag; None while it is open.
        summarised: Whether its summary is over.
    """

    line: MarkedLine
    start: int
    end: int | None = None
    summarised: bool = False


def _blocks(lines: Iterable[MarkedLine]) -> Iterator[tuple[MarkedLine, str]]:
    """Each outermost ``<details>`` with the line where it begins and the text inside.

    One that is never closed ends at the next that has a summary; one without a summary around others is no block.
    """
    parts, blocks, still_open = list[str](), list[_Block](), list[_Block]()
    for line in lines:
        is_code = line.fenced or "<" not in line.text
        for part in [line.text] if is_code else DETAILS_TAG.split(line.text):
            if not is_code and DETAILS.fullmatch(part):
                if len(still_open) == 1 and not still_open[0].summarised:
                    parts, blocks, still_open = [], [], []
                blocks.append(_Block(line, len(parts) + 1))
                still_open.append(blocks[-1])
            elif still_open and not is_code and DETAILS_END.fullmatch(part):
                still_open.pop().end = len(parts)
            elif still_open and not is_code and SUMMARY_END.search(part):
                still_open[-1].summarised = True
            if blocks:
                parts.append(part)
            if blocks and not still_open:
                yield blocks[0].line, "".join(parts[blocks[0].start : blocks[0].end])
                parts, blocks = [], []
        if blocks:
            parts.append("\n")
    yield from _with_unclosed(blocks, parts)


def _with_unclosed(blocks: list[_Block], parts: list[str]) -> Iterator[tuple[MarkedLine, str]]:
    """The outermost blocks of a text whose first one is never closed."""
    following = len(parts)
    for block in reversed(blocks):
        block.end = following if block.end is None else block.end
        following = block.start - 1 if block.summarised else following
    reached = 0
    for block in blocks:
        if block.start > reached:
            reached = block.end or 0
            yield block.line, "".join(parts[block.start : reached])
