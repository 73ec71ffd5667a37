"""One ingested example into a clean one, or into a reject."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qwen_pipeline.text.boilerplate import remove_boilerplate
from qwen_pipeline.text.control_tokens import escape_control_tokens
from qwen_pipeline.text.damage import drop_cut_end, find_damage
from qwen_pipeline.text.html_leftovers import has_tags_by_right, is_about_markup, remove_html_leftovers
from qwen_pipeline.text.normalise import normalise
from qwen_pipeline.text.personal_data import mask_personal_data
from qwen_pipeline.text.quality import QualityRules, find_fault
from qwen_pipeline.text.repair import repair_mojibake
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.split import content_key, given_split, hash_split
from qwen_pipeline.text.thinking import asks_about_tags, is_left_open, restore_opening, split_thinking
from qwen_pipeline.text.traits import ANY_TRAIT, COMPOSES, DAMAGED, ODD, SUSPECT

_NO_HTML, _ENTITIES, _ENTITIES_AND_TAGS = "", "&", "&<"


@dataclass(frozen=True, slots=True)
class CleanRules:
    """What cleaning does: lengths in characters, fractions 0 to 1."""

    quality: QualityRules = field(default_factory=QualityRules)
    mask_personal_data: bool = False
    repair_mojibake: bool = True
    remove_html: bool = True
    remove_boilerplate: bool = True
    validation_fraction: float = 0.05
    test_fraction: float = 0.1


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A clean example: its messages, what was repaired, its split, its question and answer as one text each.

    ``key`` is the digest of its content.
    """

    messages: list[tuple[str, str]]
    repairs: list[str]
    split: str
    question: str
    answer: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is refused; ``text`` is what remained of its question."""

    reason: RejectReason
    detail: str
    text: str


def clean_messages(
    given: Sequence[tuple[str, str]], traits: Sequence[int], source_file: str, rules: CleanRules
) -> CleanRow | Fault:
    """Clean an example.

    Args:
        given: Pairs of role and content.
        traits: What ``traits_of`` gives for the contents.
        source_file: Where they come from.
        rules: What to do.
    """
    repairs: dict[str, None] = {}
    html = _html_leftovers(given, source_file) if rules.remove_html else _NO_HTML
    cleaned = [
        _clean_text(role, text, flags, rules, repairs, html)
        for (role, text), flags in zip(given, traits, strict=True)
    ]
    messages = [(role, text) for (role, _), (text, _) in zip(given, cleaned, strict=True)]
    if any("<" in text for _, text in messages):
        messages = _settle_tags(messages, repairs)
    question = "\n".join(text for role, text in messages[:-1] if role != "system")
    answer = messages[-1][1]
    fault = _find_fault(messages, [flags for _, flags in cleaned], rules)
    if fault is not None:
        return Fault(*fault, question)
    key = content_key(messages)
    split = given_split(source_file) or hash_split(key, rules.validation_fraction, rules.test_fraction)
    return CleanRow(messages, list(repairs), split, question, answer, key)


def _html_leftovers(messages: Sequence[tuple[str, str]], source_file: str) -> str:
    """The marks by which HTML in these messages is a leftover: of entities, of tags, both or none."""
    marks = _ENTITIES if has_tags_by_right(source_file) else _ENTITIES_AND_TAGS
    found = any(mark in text for _, text in messages for mark in marks)
    return _NO_HTML if not found or is_about_markup(text for _, text in messages) else marks


def _clean_text(
    role: str, text: str, traits: int, rules: CleanRules, repairs: dict[str, None], html: str
) -> tuple[str, int]:
    """The text made clean, with the traits that it may have now."""
    if rules.repair_mojibake and traits & SUSPECT:
        repaired = repair_mojibake(text)
        if repaired.steps:
            text, traits = repaired.text, ANY_TRAIT
            repairs.update(dict.fromkeys(f"mojibake:{step}" for step in repaired.steps))
    if traits & DAMAGED:
        text, cut = drop_cut_end(text)
        repairs.update({"cut_character_removed": None} if cut else {})
    if html and any(mark in text for mark in html):
        text, changes = remove_html_leftovers(text, with_tags="<" in html)
        traits = ANY_TRAIT if changes else traits
        repairs.update(dict.fromkeys(changes))
    text, changes = normalise(text, bool(traits & COMPOSES), bool(traits & ODD))
    if changes:
        repairs.update(dict.fromkeys(changes))
    if rules.remove_boilerplate:
        text, removed = remove_boilerplate(role, text)
        if removed:
            repairs["boilerplate_removed"] = None
    if rules.mask_personal_data:
        text, kinds = mask_personal_data(text)
        repairs.update(dict.fromkeys(f"masked:{kind}" for kind in kinds))
    return text, traits


def _settle_tags(messages: list[tuple[str, str]], repairs: dict[str, None]) -> list[tuple[str, str]]:
    """The messages with structure told from text; a block that is left open is text, and noted."""
    is_about_tags = asks_about_tags(text for role, text in messages if role == "user")
    settled = []
    for role, text in messages:
        if role == "assistant" and not is_about_tags:
            if is_left_open(text):
                repairs["thinking_left_open"] = None
            restored = restore_opening(text)
            if restored is not None:
                text = restored
                repairs["thinking_block_restored"] = None
        text, escaped = _escape(role, text)
        repairs.update({"control_tokens_escaped": None} if escaped else {})
        settled.append((role, text))
    return settled


def _escape(role: str, text: str) -> tuple[str, int]:
    """Control tokens made visible; an answer's leading thinking block stays one."""
    thinking = split_thinking(text) if role == "assistant" else None
    if thinking is None:
        return escape_control_tokens(text)
    (inside, first), (outside, second) = (escape_control_tokens(part) for part in thinking)
    return f"<think>\n{inside}\n</think>\n\n{outside}", first + second


def _without_thinking(answer: str) -> str:
    thinking = split_thinking(answer) if answer.startswith("<think>") else None
    return thinking[1] if thinking else answer


def _find_fault(
    messages: list[tuple[str, str]], traits: list[int], rules: CleanRules
) -> tuple[RejectReason, str] | None:
    asked = next((text for role, text in reversed(messages) if role == "user"), "")
    answer = _without_thinking(messages[-1][1])
    if not asked:
        return RejectReason.EMPTY_QUESTION, "nothing is left of the question"
    if not answer:
        return RejectReason.EMPTY_ANSWER, "nothing is left of the answer"
    for (role, text), flags in zip(messages, traits, strict=True):
        damage = find_damage(text, bool(flags & DAMAGED))
        if damage:
            return RejectReason.UNREPAIRABLE_TEXT, f"{role}: {damage}"
    return find_fault(asked, answer, rules.quality)
