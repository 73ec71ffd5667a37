"""Documents that fold each answer away: ``<details><summary>question</summary>answer</details>``."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.answer_text import ANSWER_MARK, tidy_question
from qwen_pipeline.text.formats.headings import looks_like_question
from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.row import Found, Row, refuse
from qwen_pipeline.text.schema import RejectReason

_OPEN = re.compile(r"<details\b[^>]*>", re.IGNORECASE)
_CLOSE = re.compile(r"</details\s*>", re.IGNORECASE)
_SUMMARY = re.compile(r"<summary\b[^>]*>", re.IGNORECASE)
_SUMMARY_END = re.compile(r"</summary\s*>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|i|strong|em|u|h[1-6]|p|span|font|code)\b[^>]*>", re.IGNORECASE)
_QUESTION_MARK = re.compile(
    r"\A(?:\*\*)?(?:问题|提问|问|Question|Q)\s*[0-9０-９]{0,4}\s*[.:：、]\s*|\A[0-9]{1,4}\s*[.、)）]\s*",
    re.IGNORECASE,
)
LEAST_QUESTIONS = 0.5  # of the summaries: other documents fold away logs and screenshots


def are_folded_answers(lines: Iterable[MarkedLine]) -> bool:
    """Whether the document folds text away mostly under questions."""
    questions = [question for _, block in _blocks(lines) if (question := _cut(block)[0])]
    asked = sum(looks_like_question(question) for question in questions)
    return bool(questions) and asked >= LEAST_QUESTIONS * len(questions)


def read_folded(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every folded block; text between the blocks belongs to the document."""
    for line, block in _blocks(lines):
        question, answer = _cut(block)
        if not question:
            yield refuse(line.number, RejectReason.MISSING_QUESTION, "folded text without a question", block)
        elif not answer.strip(EDGES + "\n"):
            yield refuse(line.number, RejectReason.MISSING_ANSWER, "a question without an answer", question)
        else:
            yield Found((("user", question), ("assistant", answer)), line.number, line.offset)


def _cut(block: str) -> tuple[str, str]:
    """Question and answer of a block; both empty where it has no whole summary."""
    start = _SUMMARY.search(block)
    end = _SUMMARY_END.search(block, start.end()) if start else None
    if start is None or end is None:
        return "", ""
    answer = block[end.end() :].strip(EDGES + "\n")
    return _question(block[start.end() : end.start()]), ANSWER_MARK.sub("", answer, count=1)


def _question(summary: str) -> str:
    return _QUESTION_MARK.sub("", tidy_question(_TAG.sub("", summary)), count=1).strip(EDGES + "\n")


def _blocks(lines: Iterable[MarkedLine]) -> Iterator[tuple[MarkedLine, str]]:
    """Each outermost ``<details>`` with the line where it begins and the text inside; an unclosed one ends at the next."""
    first: MarkedLine | None = None
    depth, texts, summarised = 0, list[str](), False
    for line in lines:
        text = line.text
        if not line.fenced and ("<" in text or depth):
            opening = _OPEN.search(text)
            if opening and (depth == 0 or (depth == 1 and not summarised)):
                first, texts, text = line, [], text[opening.end() :]
                depth, summarised = 1, False
            elif opening:
                depth += 1
            depth -= len(_CLOSE.findall(text)) if depth else 0
        if first is not None:
            summarised = summarised or bool(_SUMMARY_END.search(text))
            texts.append(text)
            if depth <= 0:
                yield first, _without_last_close("\n".join(texts))
                first, depth = None, 0
    if first is not None:
        yield first, "\n".join(texts)


def _without_last_close(block: str) -> str:
    *_, last = _CLOSE.finditer(block)
    return (block[: last.start()] + block[last.end() :]).strip("\n")
