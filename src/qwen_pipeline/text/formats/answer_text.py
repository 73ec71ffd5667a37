"""What is left of a question or an answer when the document's own furniture is taken off."""

import re

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, body_text

_RULE = re.compile(r"\s*(?:[-*_=]\s*){3,}$")
_BREAK = re.compile(r"</?br\s*/?>\s*", re.IGNORECASE)
_FIRST_BREAKS = re.compile(rf"\A(?:{_BREAK.pattern})+", re.IGNORECASE)
DETAILS = re.compile(r"<details\b[^<>]*>", re.IGNORECASE)
DETAILS_END = re.compile(r"</details\s*>", re.IGNORECASE)
DETAILS_TAG = re.compile(f"({DETAILS.pattern}|{DETAILS_END.pattern})", re.IGNORECASE)
_SUMMARY = re.compile(r"<summary\b[^<>]*>", re.IGNORECASE)
SUMMARY_END = re.compile(r"</summary\s*>", re.IGNORECASE)
_BACK_TO_TOP = re.compile(
    r"\s*(?:<[^>]+>\s*)*(?:\[\s*)?(?:[⬆↑]\s*)*(?:back to (?:the )?top|返回顶部|回到顶部|トップへ戻る)[^\n]*$",
    re.IGNORECASE,
)
_SECTION_START = re.compile(
    rf"[{EDGES}]*(?:第[一二三四五六七八九十0-9]{{1,3}}[章节部篇][分]?|[（(]?[一二三四五六七八九十]{{1,3}}(?:[)）]|、)|【(?=[^】]+】$))"
)
_SECTION = re.compile(rf"{_SECTION_START.pattern}[^。！？!?；;：:，,]{{1,20}}")
CHAPTER = re.compile(rf"[{EDGES}]*第[一二三四五六七八九十0-9]{{1,3}}(?:[章节篇]|部分)")
_LISTED = re.compile("[一二三四五六七八九十][、)）]|【")
_CONTAINER = re.compile(r":{3,}(?!:)\s*(?P<name>\S*)")
_WRAPPED = re.compile(r"(\*\*|__)(.+)\1", re.DOTALL)
_ANCHOR = re.compile(r"<a\s+(?:id|name)=[^>]*>\s*</a>|\{#[^}]*\}", re.IGNORECASE)
_LETTERS = "ABCDEFGH"
_OPTION = re.compile(
    rf"(?:^|(?<=[{EDGES}]))[{EDGES}]*(?:[-*+][ \t]+)?[（(]?([A-H])[)）.．、:：]", re.MULTILINE
)
QUESTION_MARK = re.compile(
    r"\A(?:\*\*)?(?:问题|提问|问|Question|Q)\s*[0-9０-９]{0,4}\s*[.:：、](?:\*\*)?\s*", re.IGNORECASE
)
_ANSWER_WORD = r"(?:参考答案|标准答案|正确答案|答案|解答|解析|回答|答|A|Answer)"
ANSWER_MARK = re.compile(rf"\A(?:\*\*{_ANSWER_WORD}\*\*\s*[:：]|(?:\*\*)?{_ANSWER_WORD}\s*[:：](?:\*\*)?)\s*")


def tidy_question(text: str) -> str:
    """A question without line breaks of HTML or Markdown at its end, bold around all of it, and anchors."""
    text = _ANCHOR.sub("", text).strip(EDGES + "\n\r")
    text = _without_last_breaks(text.removesuffix(" \\")).strip(EDGES + "\n\r")
    wrapped = _WRAPPED.fullmatch(text)
    return wrapped[2].strip(EDGES) if wrapped and wrapped[1] not in wrapped[2] else text


def _without_last_breaks(text: str) -> str:
    """The text without the line breaks in HTML at its end; from the end, so that breaks elsewhere cost nothing."""
    end = len(text)
    while (at := text.rfind("<", 0, end)) >= 0 and _BREAK.fullmatch(text, at, end):
        end = at
    return text[:end]


def tidy_answer(start: str, lines: list[MarkedLine]) -> str:
    """An answer without what belongs to the document: section headings and rules after it, folding tags.

    Args:
        start: What stood on the line of the answer's mark.
        lines: The lines after it.
    """
    kept = without_furniture(lines)
    if _ends_container(kept):
        kept = without_furniture(kept[:-1])
    if _ends_with_section(start, kept):
        kept.pop()
    text = body_text(kept)
    if start:
        first = next((line.text for line in kept if not line.blank), "")
        if first.startswith(("    ", "\t")) and text:  # code keeps the indent of its first line too
            text = first[: len(first) - len(first.lstrip(EDGES))] + text
        gap = "\n" * (1 + next((at for at, line in enumerate(kept) if not line.blank), 0))
        text = f"{start}{gap}{text}" if text else start
    _, unfolded = unfold(text) or ("", text)
    return _FIRST_BREAKS.sub("", unfolded.strip(EDGES + "\n\r"))


def unmarked_answer(start: str, lines: list[MarkedLine]) -> str:
    """An answer as `tidy_answer` leaves it; nothing where it is the options of a choice, which no mark says to be the answer."""
    text = tidy_answer(start, lines)
    said = [line for line in text.split("\n") if line.strip(EDGES)]
    letters = "".join(found[1] for found in _OPTION.finditer(text))
    are_options = len(letters) > 1 and _LETTERS.startswith(letters) and all(map(_OPTION.match, said))
    return "" if are_options else text


def without_furniture(lines: list[MarkedLine]) -> list[MarkedLine]:
    """The lines up to the last that is neither blank nor furniture."""
    last = next(
        (at for at in reversed(range(len(lines))) if not (lines[at].blank or _is_furniture(lines[at]))), -1
    )
    return lines[: last + 1]


def _is_furniture(line: MarkedLine) -> bool:
    """A heading without text under it, a rule, a link to the top."""
    return not line.fenced and bool(line.level or _RULE.match(line.text) or _BACK_TO_TOP.fullmatch(line.text))


def _ends_container(lines: list[MarkedLine]) -> bool:
    """Whether the last line, ``:::``, ends a part of the page that began above the answer."""
    if not lines or lines[-1].fenced or not _CONTAINER.fullmatch(lines[-1].text.strip()):
        return False
    fences = [found for line in lines if not line.fenced and (found := _CONTAINER.match(line.text.lstrip()))]
    return 2 * sum(bool(found["name"]) for found in fences) < len(fences)


def _ends_with_section(start: str, lines: list[MarkedLine]) -> bool:
    """Whether the last line is a section's title in plain text.

    It is none where other lines of the answer begin so too, where the text before it ends with a colon, or where the
    number before its own stands in the text: then it is a list's last item.
    """
    if not lines or not _SECTION.fullmatch(lines[-1].text.rstrip(EDGES)):
        return False
    before = [text for text in (start, *(line.text.rstrip(EDGES) for line in lines[:-1])) if text]
    if not before or before[-1].endswith((":", "：")) or lines[-1].fenced:
        return False
    if CHAPTER.match(lines[-1].text):
        return not any(CHAPTER.match(text) for text in before)
    is_apart = len(lines) > 1 and lines[-2].blank
    return not any(_SECTION_START.match(text) for text in before) and (
        is_apart or not _LISTED.search("\n".join(before))
    )


def unfold(text: str) -> tuple[str, str] | None:
    """Summary and content of the one ``<details>`` that a text is; None where it is something else, or goes on behind it."""
    given = text.strip()
    if not DETAILS.match(given):
        return None
    depth, end, behind = 0, len(given), ""
    for tag in DETAILS_TAG.finditer(given):
        depth += -1 if tag[0].startswith("</") else 1
        if not depth:
            end, behind = tag.start(), given[tag.end() :]
            break
    if _BREAK.sub("", behind).strip():
        return None
    inner = given[:end].partition(">")[2].lstrip()
    return cut_summary(inner) if _SUMMARY.match(inner) else ("", inner)


def cut_summary(folded: str) -> tuple[str, str]:
    """The summary of folded text, and what stands behind it; all of the text where it has no whole summary."""
    start = _SUMMARY.search(folded)
    end = SUMMARY_END.search(folded, start.end()) if start else None
    if start is None or end is None:
        return "", folded
    return folded[start.end() : end.start()], folded[end.end() :]
