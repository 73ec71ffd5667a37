"""Markdown and plain text: marked questions, a dialogue, question headings, folded answers, lines, paragraphs, tables, sections.

Which of these a document uses is decided on its first piece (8 MiB at most) and there on 50,000 lines at most; the lines then stream.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from qwen_pipeline.text.formats.admonitions import fold_admonitions
from qwen_pipeline.text.formats.answer_marks import ask_above_answers
from qwen_pipeline.text.formats.answers_at_end import answers_at_end
from qwen_pipeline.text.formats.bracket_marks import bracket_marks
from qwen_pipeline.text.formats.content import Content, Line
from qwen_pipeline.text.formats.dialogue import (
    anyone_speaks,
    dialogue_speakers,
    read_dialogue,
    unknown_speakers,
)
from qwen_pipeline.text.formats.dotted_marks import colon_marks
from qwen_pipeline.text.formats.folded import are_folded_answers, read_folded
from qwen_pipeline.text.formats.headings import question_level, read_headings
from qwen_pipeline.text.formats.instruction_sections import (
    are_instruction_sections,
    read_instruction_sections,
)
from qwen_pipeline.text.formats.json_lines import begins_like_json
from qwen_pipeline.text.formats.marked_lines import MarkedLine, mark_lines, split_separators, unquoted
from qwen_pipeline.text.formats.marked_pairs import read_marked
from qwen_pipeline.text.formats.markers import count_markers
from qwen_pipeline.text.formats.mojibake_lines import NOTE, lines_taken_back
from qwen_pipeline.text.formats.numbered_marks import marks_behind_numbers
from qwen_pipeline.text.formats.page_lines import without_pages
from qwen_pipeline.text.formats.paragraph_pairs import (
    are_paragraph_pairs,
    are_paragraphs_in_turn,
    read_paragraph_pairs,
    read_paragraphs_in_turn,
)
from qwen_pipeline.text.formats.pipe_table import table_reader
from qwen_pipeline.text.formats.question_lines import (
    count_question_lines,
    lines_before_questions,
    question_style,
    read_question_lines,
)
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Found, Row, refuse
from qwen_pipeline.text.formats.templated_lines import are_templated, read_templated
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.unreadable import looks_binary

LINES_TO_DECIDE = 50_000


@adapter(".md", ".markdown", ".mdx", order=90)
def read_markdown(content: Content) -> Iterator[Row] | None:
    """The questions and answers of a text document; None where the bytes are no text."""
    if looks_binary(content.head, content.first_text) or begins_like_json(content.first_text):
        return None
    return _read(content)


def _read(content: Content) -> Iterator[Row]:
    found = 0
    for row in _rows(content.lines(), content):
        found += 1
        yield row
    if not found:
        for row in _rows(lines_taken_back(content) or (), content):
            found += 1
            yield replace(row, notes=(*row.notes, NOTE)) if isinstance(row, Found) else row
    if not found:
        head = islice(mark_lines(content.lines()), LINES_TO_DECIDE)
        unknown = "" if content.speakers else unknown_speakers(head)
        detail = "no question and answer found in the text" + (f"; {unknown}" if unknown else "")
        yield refuse(1, RejectReason.NO_PAIRS, detail, content.first_text)


def _rows(given: Iterable[Line], content: Content) -> Iterator[Row]:
    lines = mark_lines(split_separators(given))
    head = _head(lines, content)
    if are_templated(head):
        yield from read_templated(chain(head, lines), head, content.tool_turns)
        return
    leave_out = without_pages(head)
    if leave_out is not None:
        lines, head = leave_out(lines), list(leave_out(head))
    rewrite = marks_behind_numbers(head) or bracket_marks(head) or colon_marks(head) or answers_at_end(head)
    if rewrite is not None:
        lines = rewrite(chain(head, lines))
        head = list(islice(lines, len(head)))
    reader = _choose_reader(head, content)
    if reader is not None:
        yield from reader(chain(head, lines))


def _head(lines: Iterator[MarkedLine], content: Content) -> list[MarkedLine]:
    """The lines of the document's first piece, and at most ``LINES_TO_DECIDE``."""
    head: list[MarkedLine] = []
    for line in lines:
        head.append(line)
        if len(head) == LINES_TO_DECIDE or content.pieces_read > 1:
            break
    return head


def _choose_reader(
    head: list[MarkedLine], content: Content
) -> Callable[[Iterator[MarkedLine]], Iterator[Row]] | None:
    """The reader of the style that the document's beginning shows, or None."""
    if are_instruction_sections(head):
        return read_instruction_sections
    questions, answers = count_markers(head)
    if questions and (answers or questions >= 2):
        return lambda lines: read_marked(lines, head, has_answer_marks=answers > 0)
    open_head = list(unquoted(head)) if not questions else []
    quoted_questions, quoted_answers = count_markers(open_head)
    level = question_level(head, content.file.name)
    style = question_style(head)
    is_quoted_form = quoted_questions == 1 and bool(level or style or answers)
    if quoted_questions and quoted_answers and not is_quoted_form:
        return lambda lines: read_marked(unquoted(lines), open_head, has_answer_marks=True)
    named = bool(content.speakers)  # speakers that the user names come before headings, known ones after
    speakers = dialogue_speakers(head, content.speakers) if named or not level else {}
    opens = named or not style or anyone_speaks(lines_before_questions(head, style), speakers)
    if speakers and opens:  # else a talk is quoted in an answer
        return lambda lines: read_dialogue(lines, speakers)
    if level:
        return lambda lines: read_headings(lines, level)
    if are_folded_answers(fold_admonitions(head)):
        return lambda lines: read_folded(fold_admonitions(lines))
    open_lines = (
        unquoted if quoted_answers and not quoted_questions and not answers else iter
    )  # marks in block quotes
    open_head = list(open_lines(head))
    ask = ask_above_answers(open_head) if not questions else None
    if ask and not (style and count_question_lines(head, style) > max(answers, quoted_answers)):
        asked = list(ask(open_head))
        return lambda lines: read_marked(ask(open_lines(lines)), asked, has_answer_marks=True)
    if style:
        return lambda lines: read_question_lines(lines, style)
    if are_paragraph_pairs(head):
        return read_paragraph_pairs
    tables = table_reader(head, content.column_map, content.tool_turns)
    if tables is not None:
        return tables
    if answers:
        return lambda lines: read_marked(lines, head, has_answer_marks=True)
    return read_paragraphs_in_turn if are_paragraphs_in_turn(head) else None
