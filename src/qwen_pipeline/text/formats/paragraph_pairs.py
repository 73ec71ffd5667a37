"""Plain text in paragraphs, each a question on its first line and the answer on the others."""

from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.answer_text import tidy_answer, tidy_question
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.row import Found, Row, refuse
from qwen_pipeline.text.schema import RejectReason

_FEWEST_PAIRS = 2
_LEAST_SHARE = 0.9
_LONGEST_QUESTION = 300


def are_paragraph_pairs(lines: Iterable[MarkedLine]) -> bool:
    """Whether nearly every paragraph is a question with its answer under it."""
    paragraphs = list(_paragraphs(lines))
    pairs = sum(len(paragraph) > 1 and _asks(paragraph[0]) for paragraph in paragraphs)
    return pairs >= _FEWEST_PAIRS and pairs >= _LEAST_SHARE * len(paragraphs)


def read_paragraph_pairs(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every paragraph that begins with a question; other paragraphs are reported."""
    for first, *rest in _paragraphs(lines):
        if not _asks(first):
            yield refuse(
                first.number, RejectReason.MISSING_QUESTION, "a paragraph without a question", first.text
            )
        elif not rest:
            yield refuse(
                first.number, RejectReason.MISSING_ANSWER, "a question without an answer", first.text
            )
        else:
            messages = (("user", tidy_question(first.text)), ("assistant", tidy_answer("", rest)))
            yield Found(messages, first.number, first.offset)


def _asks(line: MarkedLine) -> bool:
    text = line.text.rstrip(EDGES)
    return (
        not line.fenced and not line.level and len(text) <= _LONGEST_QUESTION and text.endswith(("?", "？"))
    )


def _paragraphs(lines: Iterable[MarkedLine]) -> Iterator[list[MarkedLine]]:
    held: list[MarkedLine] = []
    for line in lines:
        if not line.blank or line.fenced:
            held.append(line)
        elif held:
            yield held
            held = []
    if held:
        yield held
