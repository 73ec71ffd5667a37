"""Lines of a document, each with what Markdown makes of it: in a code fence, a heading, a table row."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from qwen_pipeline.text.formats.content import Line

_FENCE = re.compile(r"\s*(?:>\s*)*(?:[-*+]\s+|\d+[.)]\s+)?(`{3,}(?=[^`]*$)|~{3,})(.*)", re.DOTALL)
_FENCE_END = re.compile(r"\s*(?:>\s*)*(?:`{3,}|~{3,})\s*")
_FENCE_BEHIND = re.compile(r"[^`~]{1,40}[:：][ \t*]*(`{3,6}|~{3,6})[\w+#.-]*\s*$")  # ``A1: ```python``
_HEADING = re.compile(r"[\s\u3000]{0,3}(#{1,6})(?:[ \t\u3000]+|(?=[^\s#!]))(.*)", re.DOTALL)
_LINK = re.compile(r"\[([^\[\]\n]+)\]\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*\)")
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+")
_SEPARATOR = re.compile("[\u2028\u2029]")
INVISIBLE = "\u200b\u200c\u200e\u200f\u2060\ufeff\u00ad"
EDGES = " \t\u00a0\u3000\x0b\x0c" + INVISIBLE


class MarkedLine(NamedTuple):
    """A line and its place in the document.

    Attributes:
        number: 1-based.
        offset: In characters.
        text: Without line end, otherwise as it stands.
        fenced: Whether it belongs to a code fence, its first and last line included.
        level: 1 to 6 for a heading, else 0.
        title: A heading's text.
    """

    number: int
    offset: int
    text: str
    fenced: bool
    level: int
    title: str

    @property
    def blank(self) -> bool:
        """Whether nothing visible stands on it."""
        return not self.text.strip(EDGES)


Rewrite = Callable[
    [Iterable[MarkedLine]], Iterator[MarkedLine]
]  # gives a document's lines the marks that readers know


def split_separators(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines cut also where a line or paragraph separator of Unicode ends one, as word processors write it.

    The parts keep the number of their line: editors count no separators.
    """
    for line in lines:
        if "\u2028" not in line.text and "\u2029" not in line.text:
            yield line
            continue
        offset = line.offset
        for part in _SEPARATOR.split(line.text):
            yield Line(line.number, offset, part)
            offset += len(part) + 1


def mark_lines(lines: Iterable[Line]) -> Iterator[MarkedLine]:
    """Add to each line whether it is fenced and whether it is a heading."""
    fence = ""
    for line in lines:
        text = line.text
        fenced, level, title = bool(fence), 0, ""
        has_ticks = "`" in text or "~" in text
        if has_ticks and (opening := _FENCE.match(text)):
            mark = opening[1]
            if not fence:
                fence, fenced = mark, True
            elif mark[0] == fence[0] and len(mark) >= len(fence) and not opening[2].strip():
                fence = ""
        elif has_ticks and not fence and (behind := _FENCE_BEHIND.match(text)):
            fence = behind[1]
        elif not fence and "#" in text[:12] and (heading := _HEADING.match(text.lstrip(INVISIBLE))):
            level, title = len(heading[1]), _title(heading[2])
        yield MarkedLine(line.number, line.offset, text, fenced, level, title)


def _title(text: str) -> str:
    """A heading's text without closing signs, and without the link if it is one as a whole."""
    title = text.strip(EDGES).rstrip("#").rstrip(EDGES)
    link = _LINK.fullmatch(title) if title.endswith(")") else None
    return link[1].strip(EDGES) if link else title


def notes_on_end(lines: list[MarkedLine]) -> tuple[str, ...]:
    """The note on an answer whose code fence nobody closed: all that follows in the document counts as its code."""
    is_open = bool(lines) and lines[-1].fenced and not _FENCE_END.fullmatch(lines[-1].text)
    return ("open_code_fence",) * is_open


def unquoted(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    """The lines as they are where their block quotes (``> ``) are taken off."""
    return mark_lines(Line(line.number, line.offset, _QUOTE.sub("", line.text)) for line in lines)


def body_text(lines: list[MarkedLine]) -> str:
    """The lines as one text, without blank lines at its ends."""
    texts = [line.text for line in lines]
    while texts and not texts[0].strip(EDGES):
        texts.pop(0)
    while texts and not texts[-1].strip(EDGES):
        texts.pop()
    return "\n".join(texts).strip(EDGES + "\n") if texts else ""
