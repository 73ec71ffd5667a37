"""Marks of questions and answers at the start of a line: ``Q1:``/``A1:``, ``问：``/``答：``, bold, as headings, in lists."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qwen_pipeline.text.formats.marked_lines import EDGES, INVISIBLE, MarkedLine

_Q_WORDS = (
    r"Questions?|Ques|Q|Ｑ|ｑ|标准问题|标准问|问题|提问[者人]|提问|问|問題|質問|問|题目|題目|질문|第[0-9０-９一二三四五六七八九十百]{1,4}[问題题問]"
    r"|Frage|Вопрос|Pregunta|Pergunta|Domanda|Soru|Câu[ ]hỏi|Câu|Hỏi|คำถาม|ถาม|السؤال|سؤال|प्रश्न"
)
_FOREIGN_ANSWERS = r"Antwort|Ответ|Respuesta|Resposta|Risposta|Réponse|Cevap|Yanıt|Trả[ ]lời|Đáp[ ]án|Đáp|คำตอบ|ตอบ|الجواب|الإجابة|جواب|उत्तर"
_A_WORDS = (
    r"(?:Correct[ ])?Answers?|Ans|A|Ａ|ａ|第[0-9０-９一二三四五六七八九十百]{1,4}答"
    rf"|参考答案|标准答案|正确答案|答案|解答|回答[者人]|回答|回复|答复|답변|答|{_FOREIGN_ANSWERS}"
)
BULLETS = "·■□▪●○◆◇▲△▼▽★☆▶►➤※◎"
_PICTURES = (
    "\u2190-\u2bff\ufe0f\u200d\U0001f000-\U0001faff"  # 🔹 ❓ ✅, as chat programs put them before a mark
)
_NUMBER = r"[0-9０-９]{1,9}(?:[.\-][0-9]{1,3})?|[一二三四五六七八九十百]{1,4}|[（(][0-9]{1,4}[)）]"
_MARK = re.compile(
    rf"[\s{EDGES}]*(?P<list>(?:[-*+•]|[0-9]{{1,4}}[.)、．])[ \t\u3000]+|[{BULLETS}]+[ \t\u3000]*)?(?:[{_PICTURES}]{{1,4}}[ \t\u3000]?)?"
    rf"(?P<open>\*\*|__|\*|【|\[)?[ \t\u3000]*(?(open)(?:[{_PICTURES}]{{1,4}}[ \t\u3000]?)?)"
    rf"(?:(?P<q>{_Q_WORDS})|(?P<a>{_A_WORDS}))"
    rf"[ \t\u3000.#№\-]*(?:No\.?[ \t]*(?=[0-9]))?(?P<number>{_NUMBER})?[ \t\u3000]*(?P<close1>\*\*|__|\*|】|\])?[ \t\u3000]*"
    r"(?P<sep>[:：.．、)）,，|]|[-–—](?=\s)|(?=\s)|(?<=[】\]])|$)[ \t\u3000]*(?P<close2>\*\*(?=\s)|\*\*$)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
INLINE_ANSWER = re.compile(
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
    rf"[{re.escape(_MARK_EDGES)}{_PICTURES}]{{0,39}}"
    rf"(?:[{_MARK_LETTERS}]|[Ss][Oo][Rr]|[Cc](?:[Ee][Vv]|[Ââ]|[Oo][Rr][Rr])|[Yy][Aa][Nn]|[Hh][Ỏỏ]|[Tt][Rr][Ảả])"
)
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
    if text[:1] not in _MAY_BEGIN and not "\u2190" <= text[:1] <= "\u2bff" and text[:1] < "\U0001f000":
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
        is_link = rest.startswith("(")
        return found["open"] == "【" or not (is_link or (found["q"] or found["a"]) in ("q", "a"))
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
            answers += (not mark.is_question) or bool(INLINE_ANSWER.search(mark.rest))
    return questions, answers
