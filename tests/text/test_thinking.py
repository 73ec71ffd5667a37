"""Answers of thinking models: the swallowed opening tag comes back, and prose about the tag is left alone."""

import time

import pytest

from qwen_pipeline.text.clean_row import CleanRow, CleanRules, Fault
from text.cleaning import clean_row


def clean(question: str, *turns: str) -> CleanRow | Fault:
    roles = ["assistant", "user"] * len(turns)
    return clean_row([("user", question), *zip(roles, turns, strict=False)], "a.md", CleanRules())


def answers(row: CleanRow | Fault) -> list[str]:
    assert isinstance(row, CleanRow)
    return [text for role, text in row.messages if role == "assistant"]


@pytest.mark.parametrize(
    "answer",
    [
        "First I add.\n\nThen I check.\n</think>\n\nIt is four.",
        "First I add.\n\nThen I check.\n</think>\nIt is four.",
        "First I add.\n\nThen I check.</think>\n\nIt is four.",
    ],
)
def test_a_swallowed_opening_tag_is_put_back_and_recorded(answer: str) -> None:
    row = clean("Two and two?", answer)
    assert answers(row) == ["<think>\nFirst I add.\n\nThen I check.\n</think>\n\nIt is four."]
    assert isinstance(row, CleanRow)
    assert row.repairs == ["thinking_block_restored"]


def test_every_answer_of_a_conversation_is_restored() -> None:
    row = clean("一加一？", "想一想。\n</think>\n\n二。", "再加一？", "继续想。\n</think>\n\n三。")
    assert answers(row) == ["<think>\n想一想。\n</think>\n\n二。", "<think>\n继续想。\n</think>\n\n三。"]


def test_an_empty_block_without_its_opening_is_an_empty_block() -> None:
    assert answers(clean("Two and two?", "\n</think>\n\nFour.")) == ["<think>\n\n</think>\n\nFour."]


def test_restoring_again_changes_nothing() -> None:
    (once,) = answers(clean("Two and two?", "I add.\n</think>\n\nFour. Then\n</think>\n\nfive."))
    assert once == "<think>\nI add.\n</think>\n\nFour. Then\n< /think>\n\nfive."
    again = clean("Two and two?", once)
    assert answers(again) == [once]
    assert isinstance(again, CleanRow)
    assert again.repairs == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How does it end?", "The block ends with </think>\n\nand then the answer comes."),
        ("How does it end?", "It writes `</think>` and goes on."),
        ("How does it end?", "Like this:\n```\nreasoning\n</think>\n\nanswer\n```"),
        ("How does it end?", "Like this:\n    </think>\n\nand no more."),
        ("What does </think> do?", "It ends the block:\n</think>\n\nNothing else."),
        ("What is <think>?", "<think> opens the reasoning."),
        ("How does it look?", "So: <think>\nreasoning\n</think>\n\nanswer"),
    ],
)
def test_text_about_the_tags_stays_text(question: str, answer: str) -> None:
    row = clean(question, answer)
    (text,) = answers(row)
    assert "<think>" not in text
    assert "</think>" not in text
    assert isinstance(row, CleanRow)
    assert "thinking_block_restored" not in row.repairs


def test_a_block_that_never_closes_is_text_that_is_noted() -> None:
    row = clean("Two and two?", "<think>\nFirst I add, then I")
    assert isinstance(row, CleanRow)
    (text,) = answers(row)
    assert "<think>" not in text and text.endswith("First I add, then I")
    assert row.repairs == ["thinking_left_open", "control_tokens_escaped"]


def test_reasoning_without_an_answer_is_an_empty_answer() -> None:
    row = clean("Two and two?", "First I add.\n</think>")
    assert isinstance(row, Fault)
    assert row.reason == "empty_answer"


def test_a_long_gap_in_a_block_that_never_closes_is_read_once() -> None:
    start = time.process_time()
    clean("Two and two?", "<think>" + "\n" * 4000 + "First I add, then I")
    assert time.process_time() - start < 5  # a minute where every gap is tried with every other
