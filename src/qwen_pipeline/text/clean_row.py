"""One ingested example into a clean one, or into a reject."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qwen_pipeline.text.control_tokens import escape_control_tokens
from qwen_pipeline.text.damage import drop_cut_end, find_damage
from qwen_pipeline.text.normalise import normalise
from qwen_pipeline.text.personal_data import mask_personal_data
from qwen_pipeline.text.quality import QualityRules, find_fault
from qwen_pipeline.text.repair import repair_mojibake
from qwen_pipeline.text.schema import RejectReason, excerpt_of
from qwen_pipeline.text.split import content_key, given_split, hash_split

_THINKING = re.compile(r"\A\s*<think>\s*(.*?)\s*</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CleanRules:
    """What cleaning does: lengths in characters, fractions 0 to 1."""

    quality: QualityRules = field(default_factory=QualityRules)
    mask_personal_data: bool = False
    repair_mojibake: bool = True
    validation_fraction: float = 0.05
    test_fraction: float = 0.1


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A clean example: its fields, its question and answer as one text each, the digest of its content."""

    fields: dict[str, Any]
    question: str
    answer: str
    key: bytes


def clean_row(row: Mapping[str, Any], rules: CleanRules) -> CleanRow | dict[str, Any]:
    """Clean an example.

    Args:
        row: An ingested example.
        rules: What to do.

    Returns:
        The clean example, or the row for the table of rejects.
    """
    repairs: dict[str, None] = {}
    messages: list[tuple[str, str]] = []
    for message in row["messages"]:
        text = _clean_text(message["role"], message["content"] or "", rules, repairs)
        messages.append((message["role"], text))
    question = "\n".join(text for role, text in messages[:-1] if role != "system")
    asked = next((text for role, text in reversed(messages) if role == "user"), "")
    answer = messages[-1][1]
    fault = _find_fault(messages, asked, _without_thinking(answer), rules)
    if fault is not None:
        return _reject(row, *fault, question)
    key = content_key(messages)
    split = given_split(row["source_file"]) or hash_split(key, rules.validation_fraction, rules.test_fraction)
    fields = {
        **row,
        "messages": [{"role": role, "content": text} for role, text in messages],
        "repairs": list(repairs),
        "split": split,
    }
    return CleanRow(fields, question, answer, key)


def _clean_text(role: str, text: str, rules: CleanRules, repairs: dict[str, None]) -> str:
    if rules.repair_mojibake and not text.isascii():
        repaired = repair_mojibake(text)
        if repaired.steps:
            text = repaired.text
            repairs.update(dict.fromkeys(f"mojibake:{step}" for step in repaired.steps))
    text, cut = drop_cut_end(text)
    repairs.update({"cut_character_removed": None} if cut else {})
    text, changes = normalise(text)
    repairs.update(dict.fromkeys(changes))
    if rules.mask_personal_data:
        text, kinds = mask_personal_data(text)
        repairs.update(dict.fromkeys(f"masked:{kind}" for kind in kinds))
    text, escaped = _escape(role, text)
    repairs.update({"control_tokens_escaped": None} if escaped else {})
    return text


def _escape(role: str, text: str) -> tuple[str, int]:
    """Control tokens made visible; an answer's leading thinking block stays one."""
    thinking = _THINKING.match(text) if role == "assistant" else None
    if not thinking:
        return escape_control_tokens(text)
    inside, first = escape_control_tokens(thinking[1])
    outside, second = escape_control_tokens(text[thinking.end() :])
    return f"<think>\n{inside}\n</think>\n\n{outside}", first + second


def _without_thinking(answer: str) -> str:
    return _THINKING.sub("", answer, count=1)


def _find_fault(
    messages: list[tuple[str, str]], asked: str, answer: str, rules: CleanRules
) -> tuple[RejectReason, str] | None:
    if not asked:
        return RejectReason.EMPTY_QUESTION, "nothing is left of the question"
    if not answer:
        return RejectReason.EMPTY_ANSWER, "nothing is left of the answer"
    for role, text in messages:
        damage = find_damage(text)
        if damage:
            return RejectReason.UNREPAIRABLE_TEXT, f"{role}: {damage}"
    return find_fault(asked, answer, rules.quality)


def _reject(row: Mapping[str, Any], reason: RejectReason, detail: str, text: str) -> dict[str, Any]:
    return {
        "source_file": row["source_file"],
        "source_line": row["source_line"],
        "stage": "clean",
        "reason": reason.value,
        "detail": detail,
        "excerpt": excerpt_of(text),
    }
