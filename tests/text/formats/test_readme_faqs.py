"""The questions of a README or a documentation page: a section among others, with the marks that such pages use."""

from pathlib import Path

import pytest

from documents import pairs_in


@pytest.mark.parametrize("marks", [("**Q: {}**", "A: {}"), ("**Q：{}**\n", "{}"), ("- **Q: {}**", "  A: {}")])
def test_the_next_section_of_the_document_ends_the_last_answer(
    tmp_path: Path, marks: tuple[str, str]
) -> None:
    asked, answered = marks
    pairs = [("Is it free?", "Yes."), ("Where are the logs?", "In `log/`.")]
    faq = "\n\n".join(f"{asked.format(q)}\n{answered.format(a)}" for q, a in pairs)
    text = f"# Tool\n\nA tool.\n\n## FAQ\n\n{faq}\n\n## Licence\n\nMIT.\n\n- see LICENCE\n"
    assert pairs_in(tmp_path, "text.md", text) == pairs


def test_a_heading_in_an_answer_stays_if_it_is_deeper_or_stands_at_a_line_above_it(tmp_path: Path) -> None:
    answer = "Two ways.\n\n### Fast\n\nRun it.\n# build\nmake"
    text = f"# FAQ\n\n## Setup\n\nQ: How is it built?\nA: {answer}\n\nQ: Why?\nA: So.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("How is it built?", answer), ("Why?", "So.")]


def test_comments_of_a_shell_that_nobody_fenced_stay_in_the_answer(tmp_path: Path) -> None:
    answer = "In a shell:\n\n# install it\npip install tool\n\n# check it\ntool --version"
    text = f"# FAQ\n\nQ: How is it installed?\nA: {answer}\n\nQ: Why?\nA: So.\n\n# Notes\n\nMore.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("How is it installed?", answer), ("Why?", "So.")]


def test_answers_under_a_heading_of_their_own_are_not_lost(tmp_path: Path) -> None:
    text = "## Questions\n\nQ1: What?\n\nQ2: Why?\n\n## Second part\n\nA1: This.\n\nA2: So.\n"
    assert [answer for _, answer in pairs_in(tmp_path, "text.md", text)] == ["This.", "So."]


def test_a_heading_that_is_a_link_as_a_whole_is_the_text_of_the_link(tmp_path: Path) -> None:
    titles = ["[1、什么是锁？](https://a.example/b.md#1(x))", "[2、锁的[种类]？](#2)", "[3、怎么用锁](#3)"]
    text = "# 面试题\n\n" + "\n\n一把。\n\n".join(f"### {title}" for title in titles) + "\n\n加锁。\n"
    questions = [question for question, _ in pairs_in(tmp_path, "text.md", text)]
    assert questions == ["什么是锁？", "[2、锁的[种类]？](#2)", "怎么用锁"]


@pytest.mark.parametrize("mark", ["**答案：** ", "**答案**：", "**Answer**:\n\n", "A: "])
def test_the_mark_of_an_answer_under_a_heading_is_taken_off(tmp_path: Path, mark: str) -> None:
    text = f"# FAQ\n\n## 1. What is it?\n\n{mark}**One** thing.\n\n## 2. What for?\n\n{mark}That.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("What is it?", "**One** thing."), ("What for?", "That.")]


def test_headings_in_quotation_marks_ask_too(tmp_path: Path) -> None:
    text = '# Interview questions\n\n## "What is a lock?"\n\nOne.\n\n## “Explain two locks.”\n\nTwo.\n'
    assert [question for question, _ in pairs_in(tmp_path, "text.md", text)] == [
        '"What is a lock?"',
        "“Explain two locks.”",
    ]


def test_a_line_break_of_markdown_ends_no_question(tmp_path: Path) -> None:
    text = "**Q:** Is it free? \\\n**A:** Yes.\n\n**Q:** Is `\\` a path? \\\n**A:** No.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("Is it free?", "Yes."), ("Is `\\` a path?", "No.")]


@pytest.mark.parametrize("letters", [("Q.", "R."), ("P.", "R."), ("Q。", "A."), ("F.", "A.")])
def test_letters_of_other_languages_may_have_a_stop(tmp_path: Path, letters: tuple[str, str]) -> None:
    asked, answered = letters
    text = f"## FAQ\n\n**{asked}** Où est-ce ?\n\n**{answered}** Ici.\n\n**{asked}** Quand ?\n\n**{answered}** Demain.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("Où est-ce ?", "Ici."), ("Quand ?", "Demain.")]


@pytest.mark.parametrize(
    "marks",
    [("### 🔹 **Q{}. {}**", "**Answer**:"), ("❓ Q{}: {}", "✅ A:"), ("**❓ Q{}：{}**", "💡 **A：**")],
)
def test_a_picture_may_stand_before_a_mark(tmp_path: Path, marks: tuple[str, str]) -> None:
    asked, answered = marks
    pairs = [("What is a span?", "A unit of work."), ("Why is it needed?", "To see.")]
    text = "\n\n".join(f"{asked.format(at, q)}\n\n{answered} {a}" for at, (q, a) in enumerate(pairs, 1))
    assert pairs_in(tmp_path, "text.md", f"# Tracing\n\n{text}\n") == pairs


def test_a_link_in_a_table_of_contents_is_no_mark(tmp_path: Path) -> None:
    text = "# 树\n\n- [题目](#题目)\n- [解答](#解答)\n- [问题](#问题)\n\n正文一段。\n"
    assert pairs_in(tmp_path, "text.md", text) == []


@pytest.mark.parametrize("break_of_line", ["<br>", "<br/>", "</br>"])
def test_a_line_break_between_question_and_answer_belongs_to_neither(
    tmp_path: Path, break_of_line: str
) -> None:
    marked = f"**Q: Is it free?**{break_of_line}\n**A:** Yes.\n\n**Q: Why?**{break_of_line}\n**A:** So.\n"
    bold = f"**Is it free?**{break_of_line}\nYes.\n\n**Why?**{break_of_line}\nSo.\n"
    for text in (marked, bold):
        assert pairs_in(tmp_path, "text.md", text) == [("Is it free?", "Yes."), ("Why?", "So.")]


def test_letters_of_another_language_may_be_headings(tmp_path: Path) -> None:
    text = "## FAQ\n\n### F: Ist es frei?\n\nA: Ja.\n\n### F: Seit wann?\n\nA: Immer.\n"
    assert pairs_in(tmp_path, "text.md", text) == [("Ist es frei?", "Ja."), ("Seit wann?", "Immer.")]


def test_a_colon_fence_that_began_above_an_answer_is_none_of_it(tmp_path: Path) -> None:
    text = (
        "::: {.page}\n## FAQ\n\n### What is it?\n\nA thing.\n\n### What for?\n\n::: tip\nThat.\n:::\n\n:::\n"
    )
    assert pairs_in(tmp_path, "text.md", text)[1] == ("What for?", "::: tip\nThat.\n:::")
