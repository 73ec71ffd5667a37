"""Page numbers, and the running title beside them, that a document keeps when its pages are saved as text.

``第 3 页 共 9 页``, ``第3页/共9页``, ``Page 3 of 9`` and ``- 3 -``. One such line says little, so the document's beginning
decides: the numbers go up by one from line to line, or the line names how many pages there are.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise

from qwen_pipeline.text.formats.marked_lines import EDGES, MarkedLine, Rewrite
from qwen_pipeline.text.formats.markers import find_mark

_OF_ALL = re.compile(
    rf"[{EDGES}]*(?:第\s*(?P<page>[0-9]{{1,4}})\s*[页頁]\s*[,，/|]?\s*共\s*[0-9]{{1,4}}\s*[页頁]|Page\s+(?P<english>[0-9]{{1,4}})\s+of\s+[0-9]{{1,4}})[{EDGES}]*",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"[{EDGES}]*(?:第\s*(?P<page>[0-9]{{1,4}})\s*[页頁]|[-–—][ \t]+(?P<dashed>[0-9]{{1,4}})[ \t]+[-–—])[{EDGES}]*"
)
_LONGEST_LINE, _MAY_BEGIN = 40, frozenset("第Pp-–—" + EDGES)
_LEAST_PAGES, _LEAST_SHARE, _SHORTEST_TITLE = 2, 0.6, 4


def without_pages(head: list[MarkedLine]) -> Rewrite | None:
    """What leaves out the lines between pages; None where the document has none.

    Args:
        head: The document's beginning.
    """
    may_be = [
        at
        for at, line in enumerate(head)
        if line.text[:1] in _MAY_BEGIN and _is_page(line, (_OF_ALL, _ALONE))
    ]
    styles = tuple(style for style in (_OF_ALL, _ALONE) if _is_used(style, [head[at].text for at in may_be]))
    if not styles:
        return None
    return partial(_left_out, styles=styles, title=_running_title(head, may_be))


def _is_used(style: re.Pattern[str], pages: list[str]) -> bool:
    numbers = [int(next(filter(None, found.groups()))) for text in pages if (found := style.fullmatch(text))]
    if style is _OF_ALL:
        return bool(numbers)
    return len(numbers) >= _LEAST_PAGES and all(after == before + 1 for before, after in pairwise(numbers))


def _is_page(line: MarkedLine, styles: tuple[re.Pattern[str], ...]) -> bool:
    if len(line.text) > _LONGEST_LINE or line.fenced:
        return False
    return any(style.fullmatch(line.text) for style in styles)


def _running_title(head: list[MarkedLine], pages: list[int]) -> str | None:
    """The line that stands next below, or next above, a page number again and again."""
    for is_below in (True, False):
        beside = Counter(_neighbour(head, at, is_below) for at in pages)
        text, count = beside.most_common(1)[0]
        enough = count >= max(_LEAST_PAGES, _LEAST_SHARE * len(pages)) and len(text) >= _SHORTEST_TITLE
        if enough and not any(find_mark(line) for line in head if line.text.strip(EDGES) == text):
            return text
    return None


def _neighbour(head: list[MarkedLine], at: int, is_below: bool) -> str:
    places = range(at + 1, len(head)) if is_below else range(at - 1, -1, -1)
    return next((head[place].text.strip(EDGES) for place in places if not head[place].blank), "")


def _left_out(
    lines: Iterable[MarkedLine], styles: tuple[re.Pattern[str], ...], title: str | None
) -> Iterator[MarkedLine]:
    for line in lines:
        is_page = line.text[:1] in _MAY_BEGIN and _is_page(line, styles)
        if not is_page and (line.fenced or line.text.strip(EDGES) != title):
            yield line
