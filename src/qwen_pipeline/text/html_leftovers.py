"""What a web page leaves in copied text: entities and the tags of its layout.

Rows that talk about markup are left alone altogether, and so is code, where an entity or a tag is the point. In a
Markdown file tags stay: there ``<br>`` is how a line is broken.
"""

import html
import html.entities
import re
from collections.abc import Iterable

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
# before a variable's address in code, as ``= &num;``
_ADDRESS_OF = re.compile(r"(?:[=(,!<>+*/|?:{\[&]|\breturn)\s*$")
_NEVER_NAMES = ("lt;", "gt;", "amp;", "quot;", "apos;", "nbsp;")
_BREAK = re.compile(r"(?<![ \t])[ \t]*<(?:br\s*/?|/p|/div)>[ \t]*\n?", re.IGNORECASE)
# ``Callback<P>`` is a type with a parameter
_LAYOUT = re.compile(
    r"(?!(?<=[A-Za-z0-9_])(?-i:<P>))</?(?:p|div|span|font|center)(?:\s[^<>\n]{0,300})?>", re.IGNORECASE
)
_CODE = re.compile(
    r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`|^[ \t]*\|[^\n]*$)", re.DOTALL | re.MULTILINE
)
_ABOUT_MARKUP = re.compile(
    r"html|xml|css\b|markup|\btags?\b|markdown|entit(?:y|ies)|escap|javascript|react|vue|template|标签|标记|网页|页面"
    r"|实体|转义|前端|<(?:!doctype|body|head|script|style|table|ul|ol|li|form|input|button|img|a|h[1-6]|svg)\b",
    re.IGNORECASE,
)
_BLANK_LINES = re.compile(r"\n{3,}")


def is_about_markup(texts: Iterable[str]) -> bool:
    """Whether one of a row's texts is about HTML or holds more of it than layout."""
    return any(_ABOUT_MARKUP.search(text) for text in texts)


def has_tags_by_right(source_file: str) -> bool:
    """Whether HTML tags are part of the language that a file is written in."""
    return source_file.lower().removesuffix(".gz").endswith((".md", ".markdown", ".mdx"))


def remove_html_leftovers(text: str, with_tags: bool) -> tuple[str, tuple[str, ...]]:
    """The text with entities as the characters they stand for and without tags of layout, outside of code.

    Args:
        text: A message's content.
        with_tags: Whether tags are leftovers too.

    Returns:
        The text, and what was changed.
    """
    pieces = _CODE.split(text)
    changes: dict[str, None] = {}
    for at in range(0, len(pieces), 2):
        pieces[at] = _clean_prose(pieces[at], with_tags, changes)
    return ("".join(pieces) if changes else text), tuple(changes)


def _clean_prose(text: str, with_tags: bool, changes: dict[str, None]) -> str:
    if with_tags and "<" in text:
        broken, breaks = _BREAK.subn("\n", text)
        without, tags = _LAYOUT.subn("", broken)
        if breaks + tags:
            text = _BLANK_LINES.sub("\n\n", without)
            changes["html_tags_removed"] = None
    if "&" in text:
        unescaped = _ENTITY.sub(_character, text)
        if unescaped != text:
            text = unescaped
            changes["html_entities_unescaped"] = None
    return text


def _character(found: re.Match[str]) -> str:
    """The character of an entity; a space that does not break is one that does; unknown names stay, and addresses in code."""
    name, text = found[0][1:], found.string
    if name[0] != "#" and name not in _NEVER_NAMES:
        is_address = _ADDRESS_OF.search(text, max(found.start() - 12, 0), found.start()) is not None
        if is_address or name not in html.entities.html5:
            return found[0]
    return html.unescape(found[0]).replace("\xa0", " ")
