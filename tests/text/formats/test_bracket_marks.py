"""Marks in brackets, callouts, sections of a prompt, pairs on one line and paragraphs in turn; and texts that only look so."""

from pathlib import Path

import pytest

from documents import pairs_in
from work_growth import grows_in_proportion

EXPECTED = [("What is a?", "It is a."), ("怎么用 b？", "如下。"), ("When is c?", "Soon.\nOr later.")]
SHORT = [*EXPECTED[:2], ("When is c?", "Soon.")]


def pairs(folder: Path, text: str, name: str = "faq.md") -> list[tuple[str, str]]:
    return pairs_in(folder, name, text)


@pytest.mark.parametrize(
    "form",
    [
        "(Q{0}) {1}\n(A{0}) {2}\n\n",
        "（Q{0}）{1}\n（A{0}）{2}\n\n",
        "(Q {0}): {1}\n(A.{0}) {2}\n\n",
        "> [!help] {1}\n> [!done] 解答\n> {3}\n\n",
        "> [!question] {1}\n\n{2}\n\n",
        "> [!faq]- {1}\n> > [!success]- Answer\n> {3}\n\n",
        "### Instruction:\n{1}\n\n### Response:\n{2}\n\n",
        "## Instruction\n\n{1}\n\n## Output\n\n{2}\n\n### End\n\n",
        "Below is an instruction that describes a task. Do it.\n\n### Instruction:\n{1}\n\n### Response:\n{2}\n\n",
        "{1}\n\n{2}\n\n",
        "> [!question] {1}\n> {3}\n\n",
        "Q: {1}\r\r\nA: {4}\r\r\n\r\r\n",
    ],
)
@pytest.mark.parametrize("name", ["faq.md", "faq.txt"])
def test_a_document_in_this_form_gives_its_pairs(tmp_path: Path, form: str, name: str) -> None:
    text = "".join(
        form.format(at, asked, said, said.replace("\n", "\n> "), said.replace("\n", "\r\r\n"))
        for at, (asked, said) in enumerate(EXPECTED, 1)
    )
    assert pairs(tmp_path, text, name) == EXPECTED


@pytest.mark.parametrize(
    ("form", "between"),
    [("Q: {} A: {}", " "), ("Q1: {} A1: {}", ""), ("问：{}答：{}", ""), ("問：{}答：{}", "")],
)
def test_several_pairs_on_one_line_are_cut(tmp_path: Path, form: str, between: str) -> None:
    text = between.join(form.format(*pair) for pair in SHORT)
    assert pairs(tmp_path, f"{text}\n{text}\n") == SHORT * 2


@pytest.mark.parametrize("form", ["{0}、{1}答：{2}\n", "{0}. {1} 答案：{2}\n\n", "({0}){1}回答:{2}\n"])
def test_an_answer_s_mark_behind_a_numbered_question_begins_the_answer(tmp_path: Path, form: str) -> None:
    text = "".join(form.format(at, *pair) for at, pair in enumerate(SHORT, 1))
    assert pairs(tmp_path, text, "faq.txt") == SHORT


def test_an_input_belongs_to_its_instruction(tmp_path: Path) -> None:
    one = "### Instruction:\nTranslate.\n\n### Input:\nHallo\n\n### Response:\nHello\n\n"
    assert pairs(tmp_path, one * 2) == [("Translate.\nHallo", "Hello")] * 2


@pytest.mark.parametrize(
    "text",
    [
        "Hi John,\n\nHow are you?\n\nI write about it.\n\nCould you send it?\n\nThanks.\n\nIs Friday ok?\n\nBest\n",
        "“Where to?”\n\n“Home.”\n\n“Why?”\n\n“I am tired.”\n\n“Already?”\n\n“Yes.”\n",
        "— Où vas-tu ?\n\n— Loin.\n\n— Pourquoi ?\n\n— Je suis fatigué.\n\n— Déjà ?\n\n— Oui.\n",
        "Why is it so?\n\nMany asked.\n\nFew found out.\n\nWhat then?\n\nThey went on.\n\nTo the end.\n\nReally?\n\nYes.\n",
        "> [!note] Hot\n> Careful.\n\n> [!question] Why?\n> Because.\n\nText.\n",
        "(Q1) and (A1) are in figure 2.\n(A2) is left out.\n",
        "# Prompts\n\nUse this:\n\n### Instruction:\nDo it.\n\n### Response:\nDone.\n",
    ],
)
@pytest.mark.parametrize("name", ["text.md", "text.txt"])
def test_letters_stories_essays_and_notes_hold_no_pairs(tmp_path: Path, text: str, name: str) -> None:
    assert pairs(tmp_path, text, name) == []


@pytest.mark.parametrize(
    "said", ["Write Q: one? A: two.", "(A1) is short, as (Q1) was.", "See Q2: it is there."]
)
def test_marks_within_an_answer_s_line_cut_nothing(tmp_path: Path, said: str) -> None:
    assert pairs(tmp_path, f"Q: How?\nA: {said}\n{said}\n\nQ: And?\nA: No.\n")[0] == (
        "How?",
        f"{said}\n{said}",
    )
    assert pairs(tmp_path, f"Q: How? A: {said}\n\nQ: And? A: No.\n")[0] == ("How?", said)


def test_cutting_a_line_takes_time_in_proportion(tmp_path: Path) -> None:
    assert grows_in_proportion(lambda many: pairs(tmp_path, "Q: What is a? A: It is a. " * many), 2000)
    assert grows_in_proportion(lambda many: pairs(tmp_path, "Q: What? " + ". " * many), 4000)
