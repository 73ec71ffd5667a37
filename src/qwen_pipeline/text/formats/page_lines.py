"""Page numbers, and the running title beside them, that a document keeps when its pages are saved as text.

``第 3 页 共 9 页``, ``第3页/共9页``, ``Page 3 of 9`` and ``- 3 -``. One such line says little, so the document's beginning
decides: the numbers go up by one from line to line, or the line names how many pages there are.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine
from qwen_pipeline.text.formats.markers import find_mark

Rewrite = Callable[[Iterable[MarkedLine]], Iterator[MarkedLine]]
_OF_ALL = re.compile(
    rf"[{EDGES}]*(?:第\s*(?P<page>[0-9]{{1,4}})\s*[页頁]\s*[,，/|]?\s*共\s*[0-9]{{1,4}}\s*[页頁]|Page\s+(?P<english>[0-9]{{1,4}})\s+of\s+[0-9]{{1,4}})[{EDGES}]*",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"[{EDGES}]*(?:第\s*(?P<page>[0-9]{{1,4}})\s*[页頁]|[-–—][ \t]+(?P<dashed>[0-9]{{1,4}})[ \t]+[-–—])[{EDGES}]*"
)
_LONGEST_LINE, _FIRST = 40, tuple("第Pp-–—")
_LEAST_PAGES, _LEAST_SHARE, _SHORTEST_TITLE = 2, 0.6, 4


def without_pages(head: list[MarkedLine]) -> Rewrite | None:
    """What leaves out the lines between pages; None where the document has none.

    Args:
        head: The document's beginning.
    """
    pages = [line.text for line in head if _page_of(line, (_OF_ALL, _ALONE))]
    styles = tuple(style for style in (_OF_ALL, _ALONE) if _is_used(style, pages))
    if not styles:
        return None
    return partial(_left_out, styles=styles, title=_running_title(head, styles))


def _is_used(style: re.Pattern[str], pages: list[str]) -> bool:
    numbers = [int(next(filter(None, found.groups()))) for text in pages if (found := style.fullmatch(text))]
    if style is _OF_ALL:
        return bool(numbers)
    return len(numbers) >= _LEAST_PAGES and all(after == before + 1 for before, after in pairwise(numbers))


def _page_of(line: MarkedLine, styles: tuple[re.Pattern[str], ...]) -> re.Match[str] | None:
    if len(line.text) > _LONGEST_LINE or line.fenced or line.text.lstrip(EDGES)[:1] not in _FIRST:
        return None
    return next((found for style in styles if (found := style.fullmatch(line.text))), None)


def _running_title(head: list[MarkedLine], styles: tuple[re.Pattern[str], ...]) -> str | None:
    """The line that stands next below, or next above, a page number again and again."""
    texts = [line for line in head if not line.blank]
    pages = [at for at, line in enumerate(texts) if _page_of(line, styles)]
    for step in (1, -1):
        beside = Counter(texts[at + step].text.strip(EDGES) for at in pages if 0 <= at + step < len(texts))
        text, count = beside.most_common(1)[0] if beside else ("", 0)
        enough = count >= max(_LEAST_PAGES, _LEAST_SHARE * len(pages)) and len(text) >= _SHORTEST_TITLE
        if enough and not any(find_mark(line) for line in texts if line.text.strip(EDGES) == text):
            return text
    return None


def _left_out(
    lines: Iterable[MarkedLine], styles: tuple[re.Pattern[str], ...], title: str | None
) -> Iterator[MarkedLine]:
    for line in lines:
        if _page_of(line, styles) or (
            title is not None and not line.fenced and line.text.strip(EDGES) == title
        ):
            continue
        yield line
