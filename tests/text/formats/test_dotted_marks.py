"""Marks with a stop, ``Q.1`` and ``A.``, are questions and answers where the document is written in them, and nowhere else."""

from pathlib import Path

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

EXPECTED = [("What is a?", "It is a.\nAnd more."), ("What is b?", "It is b.")]


def pairs(folder: Path, text: str, name: str = "faq.txt") -> list[tuple[str, str]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    rows = read_rows(Content(RawFile(name, path, path.stat().st_size)))
    return [(row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize(
    "text",
    [
        "Q.1 What is a?\nA. It is a.\nAnd more.\n\nQ.2 What is b?\nA. It is b.\n",
        "Q.1. What is a?\nA.1. It is a.\nAnd more.\n\nQ.2. What is b?\nA.2. It is b.\n",
        "Q. What is a?\nA. It is a.\nAnd more.\n\nQ. What is b?\nA. It is b.\n",
        "Q1. What is a?\nA. It is a.\nAnd more.\n\nQ2. What is b?\nA. It is b.\n",
        "Q1. What is a?\nA1. It is a.\nAnd more.\n\nQ2. What is b?\nA2. It is b.\n",
        "**Q.1 What is a?**\n\n**A.** It is a.\nAnd more.\n\n**Q.2 What is b?**\n\n**A.** It is b.\n",
    ],
)
@pytest.mark.parametrize("name", ["faq.txt", "faq.md"])
def test_marks_with_a_stop_are_taken_off(tmp_path: Path, text: str, name: str) -> None:
    assert pairs(tmp_path, text, name) == EXPECTED


def test_options_of_an_exam_are_no_answers(tmp_path: Path) -> None:
    text = "Q.1 Which one?\nA. Mars\nB. Venus\nAnswer: B\n\nQ.2 And here?\nA. x\nB. y\nAnswer: A\n"
    assert pairs(tmp_path, text) == [
        ("Which one?\nA. Mars\nB. Venus", "B"),
        ("And here?\nA. x\nB. y", "A"),
    ]


def test_an_author_or_an_appendix_in_an_answer_stays_text(tmp_path: Path) -> None:
    text = "Q: Who wrote it?\nA: Two people.\nA. Smith and\nA.1 Jones.\n\nQ: When?\nA: Then.\n"
    assert pairs(tmp_path, text)[0] == ("Who wrote it?", "Two people.\nA. Smith and\nA.1 Jones.")


@pytest.mark.parametrize(
    "text",
    [
        "A. Smith wrote the first part.\nB. Jones the second.\n\nQ. Lee read it.\n",
        "A.1 Scope\nThis is the scope.\nA.2 Terms\nThese are the terms.\n",
    ],
)
def test_prose_with_initials_or_sections_has_no_pairs(tmp_path: Path, text: str) -> None:
    assert pairs(tmp_path, text, "notes.txt") == []
