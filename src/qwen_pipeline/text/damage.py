"""Text whose characters were lost before we got it, so that no repair can bring them back."""

import re

from qwen_pipeline.text.about_encodings import mentions_characters

# Somebody writes about the character: it stands by itself between spaces, quotes or brackets.
_MENTIONED = re.compile(
    "(?:^|(?<=[\\s\"'`“”‘’「」『』《》()（）【】:：，,、]))\ufffd{1,3}(?=$|[\\s\"'`“”‘’「」『』《》()（）【】:：，,、。.?？!！])"
)
_CUT_AT_END = re.compile("\ufffd{1,3}\\s*$")
_FROM_REPLACEMENT = re.compile("锟斤拷|锟斤|斤拷|烫烫烫|屯屯屯|锘挎")
_LEADS = [bytes((lead, trail)) for lead in range(0xE3, 0xEA) for trail in range(0x80, 0xC0)]
_LEADS += [b"\xe2\x80", b"\xe2\x84", b"\xef\xbc", b"\xef\xbd"]
# What the first two bytes of an ideograph in UTF-8 look like in GBK: rare characters, a third of such mojibake.
UTF8_LEADS_AS_GBK = "".join(lead.decode("gbk", "ignore") for lead in _LEADS)
WESTERN_LEADS = "ÃÂâäåæçèé"
WORDS_OF_LOSS = "锟斤烫屯锘"  # one of these stands in whatever lost text reads like in GBK
_UTF8_AS_GBK = re.compile(f"[{UTF8_LEADS_AS_GBK}]")
_LATIN_TRAILS = re.compile(
    f"(?:[{WESTERN_LEADS}][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\xa0-\xbf]{{1,2}}){{3,}}"
)
_MOST_MOJIBAKE = 0.25
_MOST_LEADS = 0.15
_FEWEST_MOJIBAKE = 3
_FEWEST_MARKS, _MOST_MARKS = 5, 0.5
_SAMPLE = 20_000
_ASCII = re.compile("[\x00-\x7f]+")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_DISGUISE_SAMPLE = 2000
_FIRST_UTF8_LEAD = 0xE3  # of U+3000, the first ideographic character


def drop_cut_end(text: str) -> tuple[str, bool]:
    """The text without a last character that was cut off in the middle of its bytes."""
    if not text.endswith("\ufffd") and "\ufffd" not in text[-4:]:
        return text, False
    shorter = _CUT_AT_END.sub("", text)
    return shorter, shorter != text


def find_damage(text: str, is_suspect: bool = True) -> str | None:
    """What is beyond repair in ``text``, in words, or None.

    A text that merely talks about such characters is not damaged: they must be a good part of it.

    Args:
        text: A message's content.
        is_suspect: False where its characters are known to be none that lost text is made of.
    """
    if text.isascii():
        return "characters were lost (? stands for them)" if _is_marks_for_letters(text) else None
    if not is_suspect:
        return "UTF-8 read as GBK" if _is_utf8_in_disguise(text) else None
    if "\ufffd" in text:
        rest = _MENTIONED.sub("", text)
        if "\ufffd" in rest or not rest.strip():
            return "characters were lost (U+FFFD)"
    sample = text[:_SAMPLE]
    replaced = sum(len(found) for found in _FROM_REPLACEMENT.findall(sample))
    wrong = len(_UTF8_AS_GBK.findall(sample))
    visible = len("".join(sample.split())) if replaced or wrong else 1
    if replaced >= 3 and replaced > _MOST_MOJIBAKE * visible:
        return "replacement characters read as GBK; the text is lost"
    if wrong >= _FEWEST_MOJIBAKE and wrong > _MOST_LEADS * visible:
        return "UTF-8 read as GBK with characters lost"
    if _is_utf8_in_disguise(sample):
        return "UTF-8 read as GBK"
    if _LATIN_TRAILS.search(sample) and not mentions_characters(text):
        return "UTF-8 read as a Western encoding, not repairable"
    return None


def _is_marks_for_letters(text: str) -> bool:
    """Whether an ASCII text is what a converter to ASCII leaves of another script: question marks, mostly."""
    marks = text.count("?")
    return marks >= _FEWEST_MARKS and marks > _MOST_MARKS * len("".join(text.split()))


def _is_utf8_in_disguise(text: str) -> bool:
    """Whether the text's GBK bytes are valid UTF-8 of ideographs, which right text never is by chance."""
    first = _NOT_ASCII.search(text) if len(text) <= _DISGUISE_SAMPLE else None
    if first is None or first[0].encode("gb18030", "replace")[0] < _FIRST_UTF8_LEAD:
        return False
    letters = _ASCII.sub("", text)
    if len(letters) < 3 or mentions_characters(text):
        return False
    try:
        hidden = letters.encode("gb18030").decode("utf-8")
    except UnicodeError:
        return False
    return all("\u3000" <= char <= "\uffef" for char in hidden)
