"""Conversations written with the marks of a chat template, in plain text and in a field of a JSON row."""

import json
from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats.row import Found, Refused, Row

PAIR = (("user", "What is it?"), ("assistant", "A form.\n\n```\ncode\n```"))
MORE = (("user", "More?"), ("assistant", "No."))


def chatml(*turns: tuple[str, str], between: str = "") -> str:
    return between.join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)


def vicuna(*turns: tuple[str, str]) -> str:
    return "".join(f"USER: {text} " if role == "user" else f"ASSISTANT: {text}</s>" for role, text in turns)


def messages(rows: list[Row]) -> list[tuple[tuple[str, str], ...]]:
    return [row.messages for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize("between", ["\n", "<|endoftext|>\n"])
def test_a_text_in_chatml_is_cut_into_its_conversations(tmp_path: Path, name: str, between: str) -> None:
    rows = read_document(tmp_path, name, chatml(*PAIR, *MORE) + between + chatml(*MORE))
    assert messages(rows) == [(*PAIR, *MORE), MORE]
    assert [row.line for row in rows] == [1, 14]


def test_a_system_text_begins_a_conversation_and_blank_lines_between_all_turns_none(tmp_path: Path) -> None:
    system = ("system", "Be brief.")
    text = chatml(system, *PAIR, *MORE, system, *MORE, between="\n")
    assert messages(read_document(tmp_path, "a.txt", text)) == [(system, *PAIR, *MORE), (system, *MORE)]


def test_a_conversation_in_chatml_without_an_answer_is_refused_with_its_line(tmp_path: Path) -> None:
    found, refused = read_document(tmp_path, "a.txt", chatml(*MORE) + "\n" + chatml(MORE[0]))
    assert isinstance(found, Found) and isinstance(refused, Refused)
    assert (refused.line, refused.reason.value) == (6, "missing_answer")


def test_turns_of_vicuna_on_one_line_are_one_conversation(tmp_path: Path) -> None:
    system = "A chat between a user and an assistant. "
    text = (
        vicuna(*MORE, *MORE)
        + "\n"
        + vicuna(MORE[0], ("assistant", "One.\nTwo."))
        + "\n"
        + system
        + vicuna(*MORE)
        + "\n"
    )
    rows = read_document(tmp_path, "a.txt", text)
    spoken = (MORE[0], ("assistant", "One.\nTwo."))
    assert messages(rows) == [(*MORE, *MORE), spoken, (("system", system.strip()), *MORE)]
    assert [row.line for row in rows] == [1, 2, 4]


@pytest.mark.parametrize("text", [vicuna(*MORE, *MORE), "<s>" + vicuna(*MORE, *MORE), chatml(*MORE, *MORE)])
def test_a_field_of_text_holds_the_same(tmp_path: Path, text: str) -> None:
    assert messages(read_document(tmp_path, "a.jsonl", json.dumps({"text": text}) + "\n")) == [(*MORE, *MORE)]


@pytest.mark.parametrize(
    "text",
    [
        "Q: What is ChatML?\nA: It looks so:\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n",
        "Q: Which roles?\nA: There are USER: you, and ASSISTANT: it.\n",
    ],
)
def test_an_answer_that_shows_a_template_is_one_answer(tmp_path: Path, text: str) -> None:
    (row,) = read_document(tmp_path, "a.md", text)
    assert isinstance(row, Found) and len(row.messages) == 2
    assert row.messages[1][1] == text.partition("A: ")[2].strip()


def test_what_looks_like_marks_or_pages_inside_of_turns_stays(tmp_path: Path) -> None:
    turns = [("user", "1、问：多少？\n第 3 页 共 9 页"), ("assistant", "A: 二\n- 3 -")]
    rows = read_document(tmp_path, "a.txt", "\n".join(chatml(*turns) for _ in range(30)))
    assert messages(rows) == [tuple(turns)] * 30
