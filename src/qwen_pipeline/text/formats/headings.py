"""Documents whose headings are the questions, with or without numbers."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.answer_text import (
    ANSWER_MARK,
    DETAILS,
    QUESTION_MARK,
    tidy_question,
    unfold,
    unmarked_answer,
    without_furniture,
)
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.marked_lines import MarkedLine
from qwen_pipeline.text.formats.row import Row

_NUMBERED = re.compile(
    r"(?:\*\*)?[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}[ \t\u3000]+(?=\S)"
    r"|(?:\*\*)?(?:第?[0-9０-９]{1,4}(?:[.\-][0-9]{1,3})*[题問]?|[（(][0-9]{1,4}[)）]|[一二三四五六七八九十]{1,3})\s*[.．、:：)）]\s*"
)
_ASKS = re.compile(
    r"[?？][\s*\"'”’」』）)]*$|^[\"'“‘*]*(?:how|what|why|when|where|which|who|can|could|do|does|did|is|are|should|will|explain|describe)\b"
    r"|如何|怎么|怎样|为什么|为何|什么|是否|能否|可否|哪些|哪个|哪里|多少|吗$|呢$|怎么办|どう|なぜ|何ですか|ですか|ますか",
    re.IGNORECASE,
)
# What a heading of a FAQ says instead of asking.
_TROUBLE = re.compile(
    r"\b(?:errors?|exceptions?|fails?|failed|failure|cannot|can['’]?t|doesn['’]?t|isn['’]?t|won['’]?t|unable to|not (?:found|working|supported))\b"
    r"|报错|错误|出错|失败|无法|不能|不了|不上|不到|不生效|异常|乱码|卡住|エラー|できない|できません|しません|失敗",
    re.IGNORECASE,
)
_FAQ_NAME = re.compile(
    r"\bfaqs?\b|_faq|faq_|q\s*&\s*a\b|frequently[- ]asked|常见问题|常見問題|疑难解答|面试题|よくある質問|interview questions",
    re.IGNORECASE,
)
_OF_ANSWER = re.compile(
    r"answer|solution|explanation|show|view|click|reveal|答案|解答|解析|回答|答え|解説|查看|点击|展开",
    re.IGNORECASE,
)
_CONTENTS_LINE = re.compile(r"\s*(?:[-*+]|[0-9]+[.)])\s+\[.*\]\(#[^)]*\)\s*$")
_FURNITURE = re.compile(
    r"\s*(?:</?(?:details|br|p)\b[^>]*>|<summary>.*</summary>|[-*_]{3,}\s*$)", re.IGNORECASE
)
_MINIMAL_QUESTIONS = 2


def looks_like_question(title: str) -> bool:
    """Whether a heading asks something, by its words or its question mark."""
    return bool(_ASKS.search(title))


def names_answer(title: str) -> bool:
    """Whether the title of folded text says that it holds an answer (Show solution, 查看答案)."""
    return bool(_OF_ANSWER.search(title))


def names_questions(title: str) -> bool:
    """Whether a document's title says that it holds questions (FAQ, 常见问题)."""
    return bool(_FAQ_NAME.search(title))


def question_level(lines: list[MarkedLine], file_name: str) -> int:
    """The heading level that holds the questions; 0 where the document is no list of questions."""
    with_body = _headings_with_body(lines)
    first = next((line.title for line in lines if line.level), "")
    is_faq = names_questions(file_name) or names_questions(first)
    titled = is_faq or any(names_questions(line.title) for line in lines if line.level in (1, 2))
    best, best_count = 0, 0
    for level in range(1, 7):
        titles = [line.title for line in with_body if line.level == level]
        asking = sum(looks_like_question(title) for title in titles)
        numbered = sum(bool(_NUMBERED.match(title)) for title in titles)
        enough = asking >= _MINIMAL_QUESTIONS and asking >= (0.25 if titled else 0.5) * len(titles)
        enough = enough or (is_faq and asking == len(titles) == 1)
        if titled and not enough:
            asking = sum(looks_like_question(title) or bool(_TROUBLE.search(title)) for title in titles)
            enough = asking >= _MINIMAL_QUESTIONS and asking >= 0.5 * len(titles)
        enough = enough or (titled and numbered >= _MINIMAL_QUESTIONS and numbered >= 0.8 * len(titles))
        if enough and asking + numbered > best_count:
            best, best_count = level, asking + numbered
    return best


def _headings_with_body(lines: list[MarkedLine]) -> list[MarkedLine]:
    """Headings that text follows before the next heading."""
    found: list[MarkedLine] = []
    current: MarkedLine | None = None
    for line in lines:
        if line.level:
            current = line
        elif current is not None and not line.blank:
            found.append(current)
            current = None
    return found


def read_headings(lines: Iterable[MarkedLine], level: int) -> Iterator[Row]:
    """A row for every heading of ``level``; its answer ends at the next heading as high or higher."""
    question: MarkedLine | None = None
    answer: list[MarkedLine] = []
    for line in lines:
        if line.level and line.level <= level:
            if question is not None and not _is_contents(answer):
                yield _row(question, answer)
            question, answer = (line if line.level == level else None), []
        elif question is not None:
            answer.append(line)
    if question is not None and not _is_contents(answer):
        yield _row(question, answer)


def _is_contents(lines: list[MarkedLine]) -> bool:
    """Whether there is nothing but links into the document: a part of its table of contents."""
    texts = [line.text for line in lines if not line.blank and not _FURNITURE.match(line.text)]
    return bool(texts) and all(_CONTENTS_LINE.match(text) for text in texts)


def _folded_answer(lines: list[MarkedLine]) -> int:
    """Where the answer begins if it is folded away and the question goes on above it; 0 where all lines are the answer."""
    at = next(
        (at for at, line in enumerate(lines) if not line.fenced and DETAILS.match(line.text.lstrip())), 0
    )
    folded = unfold("\n".join(line.text for line in without_furniture(lines[at:])))
    return at if folded and (not folded[0] or names_answer(folded[0])) else 0


def _row(heading: MarkedLine, lines: list[MarkedLine]) -> Row:
    number = _NUMBERED.match(heading.title)
    title = QUESTION_MARK.sub("", heading.title[number.end() :]) if number else heading.title
    at = _folded_answer(lines)
    question = tidy_question("\n".join([title, *(line.text for line in lines[:at])]))
    answer = ANSWER_MARK.sub("", unmarked_answer("", lines[at:]), count=1)
    return row_of_pair(heading, question, answer, lines, "an empty heading", "a heading without an answer")
