"""Documents that mark questions and answers: ``Q1:``/``A1:``, ``问：``/``答：``, bold, as headings, in lists."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qwen_pipeline.text.formats.answer_text import tidy_answer, tidy_question
from qwen_pipeline.text.formats.marked_lines import EDGES, INVISIBLE, MarkedLine, notes_on_end
from qwen_pipeline.text.formats.row import Found, Row, refuse
from qwen_pipeline.text.schema import RejectReason

_Q_WORDS = (
    r"Questions?|Ques|Q|Ｑ|ｑ|标准问题|标准问|问题|提问[者人]|提问|问|問題|質問|問|题目|題目|질문|第[0-9０-９一二三四五六七八九十百]{1,4}[问題题問]"
    r"|Frage|Вопрос|Pregunta|Pergunta|Domanda|Soru|Câu[ ]hỏi|Câu|Hỏi|คำถาม|ถาม|السؤال|سؤال|प्रश्न"
)
_FOREIGN_ANSWERS = r"Antwort|Ответ|Respuesta|Resposta|Risposta|Réponse|Cevap|Yanıt|Trả[ ]lời|Đáp[ ]án|Đáp|คำตอบ|ตอบ|الجواب|الإجابة|جواب|उत्तर"
_A_WORDS = (
    r"Answers?|Ans|A|Ａ|ａ|第[0-9０-９一二三四五六七八九十百]{1,4}答"
    rf"|参考答案|标准答案|正确答案|答案|解答|回答[者人]|回答|回复|答复|답변|答|{_FOREIGN_ANSWERS}"
)
BULLETS = "·■□▪●○◆◇▲△▼▽★☆▶►➤※◎"
_NUMBER = r"[0-9０-９]{1,9}(?:[.\-][0-9]{1,3})?|[一二三四五六七八九十百]{1,4}|[（(][0-9]{1,4}[)）]"
_MARK = re.compile(
    rf"[\s{EDGES}]*(?P<list>(?:[-*+•]|[0-9]{{1,4}}[.)、．])[ \t\u3000]+|[{BULLETS}]+[ \t\u3000]*)?(?P<open>\*\*|__|\*|【|\[)?[ \t\u3000]*"
    rf"(?:(?P<q>{_Q_WORDS})|(?P<a>{_A_WORDS}))"
    rf"[ \t\u3000.#№\-]*(?:No\.?[ \t]*(?=[0-9]))?(?P<number>{_NUMBER})?[ \t\u3000]*(?P<close1>\*\*|__|\*|】|\])?[ \t\u3000]*"
    r"(?P<sep>[:：.．、)）,，|]|[-–—](?=\s)|(?=\s)|(?<=[】\]])|$)[ \t\u3000]*(?P<close2>\*\*(?=\s)|\*\*$)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_INLINE_ANSWER = re.compile(
    rf"(?:(?<=[\s?？。！!.])|(?<=>))(?:\*\*)?(?:A|Ａ|Answer|答|回答|答案|{_FOREIGN_ANSWERS})\s*(?P<number>[0-9０-９]{{1,9}})?\s*[:：](?:\*\*)?",
    re.IGNORECASE,
)
_MARK_EDGES, _MARK_LETTERS = (
    EDGES + "#*_-+•>0123456789.)、．【[" + BULLETS,
    "QqAaＱｑＡａ问提問質答解回题題第标参正질답DdFfPpRrВвОоĐđคถตاسجपउ",
)
# Words whose first letter begins many lines of English are told by the next letters too.
_MAY_BEGIN = frozenset(_MARK_EDGES + _MARK_LETTERS + "SsCcYyHhTt")
_MAY_MARK = re.compile(
    rf"[{re.escape(_MARK_EDGES)}]{{0,39}}"
    rf"(?:[{_MARK_LETTERS}]|[Ss][Oo][Rr]|[Cc](?:[Ee][Vv]|[Ââ])|[Yy][Aa][Nn]|[Hh][Ỏỏ]|[Tt][Rr][Ảả])"
)
_MOST_UNANSWERED = 2000
_ASCII_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")


@dataclass(frozen=True, slots=True)
class Mark:
    """A question or answer mark at the start of a line."""

    is_question: bool
    number: str
    rest: str


def find_mark(line: MarkedLine) -> Mark | None:
    """The mark that ``line`` begins with, or None (always in fences, tables and quotes)."""
    if line.fenced:
        return None
    text = line.title if line.level else line.text
    if text[:1] not in _MAY_BEGIN:
        return None
    found = _MARK.match(text.lstrip(INVISIBLE)) if _MAY_MARK.match(text) else None
    if not found or not _is_separated(found, line):
        return None
    number = (found["number"] or "").strip("（()）")
    rest = found["rest"].strip(EDGES)
    bold = found["open"] if found["open"] in ("**", "__", "*") else None
    if bold and not found["close1"] and not found["close2"]:
        rest = _close_bold(rest, bold)
    return Mark(found["q"] is not None, number.translate(_ASCII_DIGITS), rest)


def _is_separated(found: re.Match[str], line: MarkedLine) -> bool:
    """A colon always separates; a stop needs a number; nothing at all needs a heading or a bold mark too."""
    separator, number, rest = found["sep"], found["number"], found["rest"]
    long_word = len(found["q"] or found["a"]) > 1
    if (found["q"] or "").startswith("第") and separator == "":
        return True  # 第1题 …
    if separator in (":", "："):
        return True
    if separator:
        return bool(number) and not (found["a"] is not None and separator in (",", "，"))
    if found["open"] in ("【", "[") and found["close1"] in ("】", "]"):
        return found["open"] == "【" or (found["q"] or found["a"]) not in ("q", "a")
    if found["open"] and found["close1"]:
        return bool(number) or not rest.strip() or long_word
    if not rest.strip():
        return (bool(line.level) and (bool(number) or long_word)) or (bool(number) and long_word)
    return bool(number) and bool(line.level) and found.string[found.start("rest") - 1].isspace()


def _close_bold(rest: str, mark: str) -> str:
    """The text without the bold mark's end, wherever that stands."""
    end = rest.find(mark)
    return rest if end < 0 else (rest[:end] + rest[end + len(mark) :]).strip(EDGES)


def count_markers(lines: Iterable[MarkedLine]) -> tuple[int, int]:
    """How many question marks and answer marks the lines begin with."""
    questions = answers = 0
    for line in lines:
        mark = find_mark(line)
        if mark is not None:
            questions += mark.is_question
            answers += (not mark.is_question) or bool(_INLINE_ANSWER.search(mark.rest))
    return questions, answers


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
    for line in lines:
        mark = find_mark(line)
        if mark is None:
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
    inline = _INLINE_ANSWER.search(mark.rest)
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
    question = tidy_question("\n".join(pair.question))
    if not question:
        return refuse(
            pair.line.number, RejectReason.MISSING_QUESTION, "a mark without a question", pair.line.text
        )
    lines = pair.answer or []
    answer = tidy_answer(pair.answer_start, lines)
    if not answer:
        return refuse(pair.line.number, RejectReason.MISSING_ANSWER, "a question without an answer", question)
    messages = (("user", question), ("assistant", answer))
    return Found(messages, pair.line.number, pair.line.offset, pair.notes + notes_on_end(lines))


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
