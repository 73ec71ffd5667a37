"""Questions whose answers open at a click in MkDocs (``??? question "…"``) and VuePress (``::: details …``): folded text, written as such."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.folded import without_mark
from qwen_pipeline.text.formats.headings import looks_like_question, names_answer
from qwen_pipeline.text.formats.marked_lines import MarkedLine

_OPENING = re.compile(
    r"(?P<indent>[ \t]*)(?P<sign>\?\?\?\+?|!!!)[ \t]+(?P<kind>[\w-]+)(?:[ \t][^\"]*)?\"(?P<title>[^\"\n].*)\"\s*$"
    r"|:{3,}[ \t]*details[ \t]+(?P<name>\S.*)$",
    re.IGNORECASE,
)
_KINDS_OF_QUESTIONS = ("question", "faq", "help")
_CONTAINER = re.compile(r"[ \t]*:{3,}[ \t]*(?P<name>\S*)")
_INDENT = re.compile(r"[ ]{1,4}|\t")


def fold_admonitions(lines: Iterable[MarkedLine]) -> Iterator[MarkedLine]:
    """The lines with ``<details>`` and ``<summary>`` for such a block; its own lines lose their indent.

    A block of the kind ``question`` gets the mark of a question, whether or not its title asks; another one has to ask.
    """
    indent, depth = -1, 0  # of a block of MkDocs; of containers in one of VuePress
    for line in lines:
        if indent >= 0 and not line.blank and not line.fenced and _width(line) <= indent:
            indent = -1
            yield line._replace(text="</details>", level=0, title="")
        if depth and not line.fenced and (other := _CONTAINER.match(line.text)):
            depth += 1 if other["name"] else -1
            yield line if depth else line._replace(text="</details>")
            continue
        found = None if line.fenced or indent >= 0 or depth else _OPENING.match(line.text)
        question = _question(found) if found else ""
        if found is None or not question:
            yield line if indent < 0 else line._replace(text=_INDENT.sub("", line.text, count=1))
            continue
        indent, depth = (-1, 1) if found["name"] else (len(found["indent"]), 0)
        yield line._replace(text=f"<details><summary>{question}</summary>")
    if indent >= 0 or depth:
        yield line._replace(text="</details>", fenced=False, level=0, title="")


def _question(found: re.Match[str]) -> str:
    """The title, with a mark; empty where the block is no question."""
    title = (found["title"] or found["name"]).strip()
    is_kind = (found["kind"] or "").lower() in _KINDS_OF_QUESTIONS and not names_answer(title)
    is_asked = looks_like_question(title) and found["sign"] != "!!!"
    return f"Q: {without_mark(title)}" if is_kind or is_asked else ""


def _width(line: MarkedLine) -> int:
    return len(line.text) - len(line.text.lstrip(" \t"))
