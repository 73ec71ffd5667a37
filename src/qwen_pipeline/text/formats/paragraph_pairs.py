"""Plain text in paragraphs, each a question on its first line and the answer on the others, or questions and answers in turn."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from qwen_pipeline.text.formats.answer_text import tidy_question, unmarked_answer
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.headings import names_questions
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.row import Row

_FEWEST_PAIRS = 2
_LEAST_SHARE = 0.9
# of paragraphs that are questions: essays and letters ask more rarely
_FEWEST_IN_TURN, _LEAST_IN_TURN = 3, 0.45
_SPOKEN = re.compile(rf"[{EDGES}]*[\"'“”‘«»„「『—–>*•-]")


def are_paragraph_pairs(lines: Iterable[MarkedLine]) -> bool:
    """Whether nearly every paragraph is a question with its answer under it."""
    paragraphs = list(_paragraphs(lines))
    pairs = sum(len(paragraph) > 1 and _asks(paragraph[0]) for paragraph in paragraphs)
    return pairs >= _FEWEST_PAIRS and pairs >= _LEAST_SHARE * len(paragraphs)


def read_paragraph_pairs(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every paragraph that begins with a question; other paragraphs are reported."""
    for first, *rest in _paragraphs(lines):
        question = tidy_question(first.text) if _asks(first) else ""
        answer = unmarked_answer("", rest)
        yield row_of_pair(first, question, answer, rest, "a paragraph without a question")


def are_paragraphs_in_turn(lines: Iterable[MarkedLine]) -> bool:
    """Whether paragraphs of one line that ask and paragraphs that answer follow each other from the first on.

    A title that names questions may stand above. What somebody says in a story also asks and answers: such a text has quotes
    or dashes.
    """
    paragraphs = list(_paragraphs(lines))
    if paragraphs and names_questions(paragraphs[0][0].text):
        paragraphs = paragraphs[1:]
    asking = [_asks_alone(paragraph) for paragraph in paragraphs]
    if sum(asking) < max(_FEWEST_IN_TURN, _LEAST_IN_TURN * len(asking)) or not asking[0]:
        return False
    in_turn = not any(one and other for one, other in pairwise(asking))
    return in_turn and not any(line.level for paragraph in paragraphs for line in paragraph)


def read_paragraphs_in_turn(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every paragraph that asks; the answer goes up to the next one."""
    question: MarkedLine | None = None
    answer: list[MarkedLine] = []
    for paragraph, between in _spaced(lines):
        if not _asks_alone(paragraph):
            answer += [*between, *paragraph]
            continue
        if question is not None:
            yield _row(question, answer)
        question, answer = paragraph[0], []
    if question is not None:
        yield _row(question, answer)


def _row(question: MarkedLine, answer: list[MarkedLine]) -> Row:
    return row_of_pair(question, tidy_question(question.text), unmarked_answer("", answer), answer)


def _spaced(lines: Iterable[MarkedLine]) -> Iterator[tuple[list[MarkedLine], list[MarkedLine]]]:
    """Each paragraph, and the blank lines above it."""
    held: list[MarkedLine] = []
    blanks: list[MarkedLine] = []
    for line in lines:
        if not line.blank or line.fenced:
            held.append(line)
            continue
        if held:
            yield held, blanks
            held, blanks = [], []
        blanks.append(line)
    if held:
        yield held, blanks


def _asks_alone(paragraph: list[MarkedLine]) -> bool:
    return len(paragraph) == 1 and _asks(paragraph[0]) and not _SPOKEN.match(paragraph[0].text)


def _asks(line: MarkedLine) -> bool:
    return not line.level and line.text.rstrip(EDGES).endswith(("?", "？"))


def _paragraphs(lines: Iterable[MarkedLine]) -> Iterator[list[MarkedLine]]:
    return (paragraph for paragraph, _ in _spaced(lines))
