"""Text around a question or an answer that belongs to where it was copied from.

Only what is certain: whole lines at a text's edges, never one that stands alone; role marks before a text; a
phrase in which a chat model talks about itself; a plea to accept the answer after it. Lines in the middle stay.
"""

import re

_EDGE_LINE = re.compile(
    r"(?:"
    # cookie notices
    r"(?:(?:this|our) (?:web)?site uses|we (?:and our partners )?use) cookies\b.*(?:experience|accept|agree|consent|continu).*"
    r"|(?:accept|reject|manage) (?:all )?cookies"
    r"|(?:本网站|本站|我们)(?:会)?使用\s*cookies?.*(?:同意|继续|接受|体验).*|(?:接受|拒绝|管理)(?:所有|全部)?\s*cookies?"
    # navigation
    r"|skip to (?:main )?content|back to (?:the )?top|(?:return|jump) to top|[↑⬆]?\s*(?:返回顶部|回到顶部)"
    r"|(?:上一篇|下一篇|上一页|下一页|上一章|下一章)\s*(?:[:：].*)?|(?:点击)?(?:查看|阅读)(?:全文|原文|更多)\s*[>»…]*"
    r"|read more\s*[>»…]*|was this (?:article|answer|page|post) helpful\s*\??.*|loading\s*(?:\.{3}|…)"
    r"|share (?:this|on) (?:article|post|page|facebook|twitter|linkedin)\b.*|分享到\s*[:：].*|分享至\s*[:：].*"
    r"|登录后(?:查看|回复|评论|可见).*|(?:sign|log) in to (?:comment|reply|continue|view)\b.*"
    # advertisements
    r"|advertisements?|sponsored(?: content)?|广告|【?广告】?|\[广告\]|推广"
    r"|.{0,12}(?:扫码|扫描二维码|长按识别二维码|微信扫一扫|点击上方蓝字|关注(?:我们的)?(?:微信)?公众号).{0,40}"
    # rights and editors
    r"|(?:copyright\s*)?(?:©|\(c\)|copyright)\s*(?:\d{4}).{0,80}|.{0,60}all rights reserved\.?|版权所有.{0,60}"
    r"|(?:未经(?:授权|许可|允许)|转载请注明|本文(?:来源|转自|转载自)\s*[:：]).{0,60}|(?:责任编辑|责编)\s*[:：]\s*.{1,12}|编辑\s*[:：]\s*[\u4e00-\u9fff·]{2,4}"
    # signatures that a device adds
    r"|sent from my (?:iphone|ipad|android|samsung|huawei|xiaomi|mobile|phone)\b.{0,30}|get outlook for (?:ios|android)"
    r"|发自我的\s*.{1,20}|来自我的\s*(?:iphone|ipad|华为|小米|手机).{0,12}"
    r")",
    re.IGNORECASE,
)
# Nearly every other line is known by its first letter and by the lack of the words of ``_has_edge_word``.
_EDGE_LETTERS = frozenset("towarmsbjlcg(©↑⬆[【本我接拒管返回上下点查阅分登广推版未转责编发来")
_ITEM = re.compile(r"\s*(?:[-*+·•]|\d{1,3}[.)、])\s*\S")
_LONGEST_LINE = 240
_MOST_EDGE_LINES = 6
_ANSWER_MARK = re.compile(
    r"(?:#{1,4}\s*(?:Response|Output|Answer|Assistant)\s*[:：]?\s*\n|(?:\*\*)?(?:Answer|Response|Assistant|ChatGPT|答|回答|回复|助手)(?:\*\*)?\s*[:：](?:\*\*)?)\s*(?=\S)",
    re.IGNORECASE,
)
_QUESTION_MARK = re.compile(
    r"(?:#{1,4}\s*(?:Instruction|Question|Input|Human|User)\s*[:：]?\s*\n|(?:\*\*)?(?:Question|Human|User|问|提问|用户)(?:\*\*)?\s*[:：](?:\*\*)?)\s*(?=\S)",
    re.IGNORECASE,
)
_MARKS = {"assistant": _ANSWER_MARK, "user": _QUESTION_MARK}
_MARK_LETTERS = {"assistant": frozenset("#*AaRrCc答回助"), "user": frozenset("#*QqHhUu问提用")}
_ABOUT_ITSELF = re.compile(
    r"As an? (?:AI|artificial intelligence)(?:[- ]based)?(?: (?:language|chat))?(?: (?:model|assistant|chatbot))?,\s*(?=I\b|my\b)"
    r"|作为(?:一[个名位款种])?\s*(?:AI|人工智能)\s*(?:语言)?(?:模型|助手|助理|机器人)?[，,]\s*(?=我)",
    re.IGNORECASE,
)
_PLEA = re.compile(
    r"(?:[。！!~～\s\n]|^)(?P<plea>(?:希望[^。！!\n]{0,20}[，,]\s*)?(?:请|望|求|敬请|还望|记得)?(?:采纳|点赞|好评)(?:一下|哦|谢谢|，谢谢)?[。！!~～\s]*)\Z"
)
_PLEA_WORDS = ("采纳", "点赞", "好评")


def remove_boilerplate(role: str, text: str) -> tuple[str, bool]:
    """The text without what belongs to the page, the form or the model it came from, and whether that was anything.

    Args:
        role: ``user``, ``assistant`` or another.
        text: A message's content, normalised.
    """
    cleaned = _without_edge_lines(text) if "\n" in text else text
    if role in _MARKS and cleaned[:1] in _MARK_LETTERS[role]:
        cleaned = _MARKS[role].sub("", cleaned, count=1) if _MARKS[role].match(cleaned) else cleaned
    if role == "assistant":
        cleaned = _without_talk(cleaned)
    return cleaned, cleaned != text


def _without_edge_lines(text: str) -> str:
    lines = text.split("\n")
    first, last = 0, len(lines)
    for _ in range(_MOST_EDGE_LINES):
        before = first, last
        if (
            last - first > 1
            and _is_edge_line(lines[last - 1])
            and not _is_item(lines[last - 1], lines[last - 2])
            and not _is_introduced(lines[first : last - 1])
        ):
            last -= 1
        if last - first > 1 and _is_edge_line(lines[first]):
            first += 1
        if (first, last) == before:
            break
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
    return text if last - first in (0, len(lines)) else "\n".join(lines[first:last])


def _is_item(line: str, neighbour: str) -> bool:
    """Whether a line is one of a list's items and stands beside another."""
    marks = _ITEM.match(line), _ITEM.match(neighbour)
    return marks[0] is not None and marks[1] is not None


def _is_introduced(before: list[str]) -> bool:
    """Whether the line that follows is what a colon announces, as a text to translate."""
    nearest = next((line for line in reversed(before) if line.strip()), "")
    return nearest.rstrip().endswith((":", "："))


def _is_edge_line(line: str) -> bool:
    if len(line) > _LONGEST_LINE:
        return False
    text = line.strip(" \t\u3000*_>-|·")
    if text.lstrip()[:1].casefold() not in _EDGE_LETTERS and not _has_edge_word(text):
        return False
    return _EDGE_LINE.fullmatch(text) is not None


def _has_edge_word(text: str) -> bool:
    return (
        "码" in text
        or "公众号" in text
        or "扫一扫" in text
        or "蓝字" in text
        or "reserved" in text.casefold()
    )


def _without_talk(text: str) -> str:
    if text[:1] in ("A", "a", "作") and (found := _ABOUT_ITSELF.match(text)):
        rest = text[found.end() :]
        text = rest[:1].upper() + rest[1:]
    end = text[-40:]
    if any(word in end for word in _PLEA_WORDS) and (plea := _PLEA.search(end)) and plea.start("plea"):
        text = text[: len(text) - len(end) + plea.start("plea")].rstrip()
    return text
