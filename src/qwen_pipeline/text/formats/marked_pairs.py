"""Documents that mark questions and answers, read pair by pair; see `markers` for the marks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qwen_pipeline.text.formats.answer_text import tidy_answer, tidy_question
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import INLINE_ANSWER, Mark, find_mark
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.schema import RejectReason

_MOST_UNANSWERED = 2000


@dataclass
class _Pair:
    """A pair as it is being read."""

    number: str
    line: MarkedLine
    question: list[str]
    answer: list[MarkedLine] | None = None
    answer_start: str = ""
    ended: bool = False
    notes: tuple[str, ...] = ()


def read_marked(lines: Iterable[MarkedLine], head: list[MarkedLine], has_answer_marks: bool) -> Iterator[Row]:
    """Rows of a marked document.

    Args:
        lines: All lines.
        head: The first of them, from which the order (answers first?) is told.
        has_answer_marks: Whether answers carry marks; without, an answer is what follows the question's line.
    """
    if _answers_come_first(head):
        yield from _read_reversed(lines)
        return
    pair: _Pair | None = None
    unanswered: dict[str, _Pair] = {}  # by number: all answers may stand after all questions
    section = 0  # the level of the heading that the questions stand under
    for line, is_apart in _apart(lines):
        mark = find_mark(line)
        if mark is None:
            if line.level and _begins_section(pair, line, section, is_apart):
                section = line.level
                if pair is not None:
                    pair.ended = True
            if pair is not None:
                _add_line(pair, line, has_answer_marks)
        elif mark.is_question:
            if pair is not None:
                yield from _set_aside(pair, unanswered)
            pair = _open(mark, line, has_answer_marks)
        elif mark.number in unanswered and (pair is None or mark.number != pair.number):
            if pair is not None:
                yield from _set_aside(pair, unanswered)
            pair = unanswered.pop(mark.number)
            pair.answer, pair.answer_start = [], mark.rest
        elif pair is None or pair.ended:
            yield refuse(
                line.number, RejectReason.MISSING_QUESTION, "an answer without a question", line.text
            )
        elif pair.answer is None or not (pair.answer_start or pair.answer):
            pair.answer, pair.answer_start = [], mark.rest
            if mark.number and pair.number and mark.number != pair.number:
                pair.notes = ("other_number",)
        elif not has_answer_marks or not mark.number:
            pair.answer.append(line)
        else:
            yield _finish(pair)
            yield refuse(
                line.number, RejectReason.MISSING_QUESTION, "an answer without a question", line.text
            )
            pair = None
    if pair is not None:
        yield _finish(pair)
    yield from map(_finish, unanswered.values())


def _apart(lines: Iterable[MarkedLine]) -> Iterator[tuple[MarkedLine, bool]]:
    """Each line, and whether it stands apart: behind a blank line, and before one too where ``# …`` may be a comment of a shell."""
    held, is_behind_blank = None, True
    for line in lines:
        if held is not None:
            yield held, is_behind_blank and (line.blank or held.level != 1)
            is_behind_blank = held.blank
        held = line
    if held is not None:
        yield held, is_behind_blank


def _begins_section(pair: _Pair | None, heading: MarkedLine, section: int, is_apart: bool) -> bool:
    """Whether a heading belongs to the document: one as high as that above the questions ends an answer, a deeper one is its own."""
    if pair is None or pair.ended:
        return True
    is_answered = bool(pair.answer_start) or any(not line.blank for line in pair.answer or ())
    return is_answered and is_apart and not pair.line.level and heading.level <= section


def _set_aside(pair: _Pair, unanswered: dict[str, _Pair]) -> Iterator[Row]:
    """Keep a numbered question whose answer may come later; any other pair is a row."""
    if pair.answer is not None or not pair.number:
        yield _finish(pair)
        return
    if pair.number in unanswered or len(unanswered) == _MOST_UNANSWERED:
        yield _finish(unanswered.pop(pair.number if pair.number in unanswered else next(iter(unanswered))))
    unanswered[pair.number] = pair


def _open(mark: Mark, line: MarkedLine, has_answer_marks: bool) -> _Pair:
    """A new pair; an answer on the question's own line is split off."""
    inline = INLINE_ANSWER.search(mark.rest)
    if inline and (inline["number"] or "") == mark.number:
        question, answer = mark.rest[: inline.start()], mark.rest[inline.end() :]
        return _Pair(mark.number, line, [question], [], answer.strip(EDGES))
    no_marks = not has_answer_marks and bool(mark.rest)
    return _Pair(mark.number, line, [mark.rest], [] if no_marks else None)


def _add_line(pair: _Pair, line: MarkedLine, has_answer_marks: bool) -> None:
    """A line that begins with no mark belongs to the question, the answer, or to what stands between pairs."""
    own_level = pair.line.level
    if line.level and own_level and line.level <= own_level:
        pair.ended = True
    if pair.ended:
        return
    if pair.answer is not None:
        pair.answer.append(line)
    elif not has_answer_marks and pair.question[-1].strip() and line.blank:
        pair.answer = []
    elif own_level and pair.question[0]:
        pair.answer = [line] if not line.blank else None
    else:
        pair.question.append(line.text)


def _finish(pair: _Pair) -> Row:
    lines = pair.answer or []
    question = tidy_question("\n".join(pair.question))
    return row_of_pair(pair.line, question, tidy_answer(pair.answer_start, lines), lines, notes=pair.notes)


def _answers_come_first(head: list[MarkedLine]) -> bool:
    """Whether the document opens with an answer whose question, of the same number, follows it."""
    marks = (mark for line in head if (mark := find_mark(line)) is not None)
    first, second = next(marks, None), next(marks, None)
    return (
        first is not None
        and second is not None
        and not first.is_question
        and second.is_question
        and bool(first.number)
        and first.number == second.number
    )


def _read_reversed(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """Pairs by number where each answer stands before its question."""
    answer: tuple[Mark, MarkedLine, list[MarkedLine]] | None = None
    question: _Pair | None = None
    for line in lines:
        mark = find_mark(line)
        if mark is None:
            if question is not None:
                question.question.append(line.text)
            elif answer is not None:
                answer[2].append(line)
            continue
        if mark.is_question:
            if answer is None or answer[0].number != mark.number:
                yield refuse(line.number, RejectReason.MISSING_ANSWER, "no answer before it", line.text)
                continue
            question = _Pair(mark.number, line, [mark.rest], answer[2], answer[0].rest)
            answer = None
        else:
            if question is not None:
                yield _finish(question)
            if answer is not None:
                yield refuse(answer[1].number, RejectReason.MISSING_QUESTION, "no question", answer[1].text)
            question, answer = None, (mark, line, [])
    if question is not None:
        yield _finish(question)
    if answer is not None:
        yield refuse(answer[1].number, RejectReason.MISSING_QUESTION, "no question follows", answer[1].text)
