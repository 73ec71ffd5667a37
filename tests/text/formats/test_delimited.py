"""A cell without an end is one refusal, not one for each of its lines."""

from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused, Row
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from qwen_pipeline.text.schema import RejectReason


def read(folder: Path, text: str) -> list[Row]:
    return read_document(folder, "table.csv", "question,answer\n" + text)


def test_a_cell_of_too_many_lines_is_one_refusal_that_counts_them(tmp_path: Path) -> None:
    (before, cell, after) = read(tmp_path, 'q,a\nWhat?,"' + "line\n" * 6_000 + '"\nq2,a2\n')
    assert isinstance(before, Found)
    assert isinstance(cell, Refused)
    assert cell.line == 3
    assert "over 5000 lines; the 6000 after it" in cell.detail
    assert isinstance(after, Found)
    assert after.line == 6_004


def test_rows_behind_a_quote_that_is_left_open_are_read(tmp_path: Path) -> None:
    rows = read(tmp_path, 'What?,"That.\n' + "q,a\n" * 6_000)
    assert [type(row) for row in rows] == [Refused] + [Found] * 6_000


def test_a_cell_without_an_end_at_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    rows = read(tmp_path, 'q,a\nWhat?,"' + "line\n" * 6_000)
    assert [type(row) for row in rows] == [Found, Refused]


def test_a_markdown_table_within_a_text_is_none_of_the_delimited_ones(tmp_path: Path) -> None:
    text = "Q: What is a?\nA: It is a.\n\nQ: Which data?\nA: These:\n\n| question | answer |\n|---|---|\n| one | 1 |\n"
    path = tmp_path / "faq.txt"
    path.write_text(text, encoding="utf-8")
    rows = list(read_rows(Content(RawFile("faq.txt", path, len(text)))))
    assert [row.messages[0][1] for row in rows if isinstance(row, Found)] == ["What is a?", "Which data?"]


@pytest.mark.parametrize(
    "shown", ["```\nquestion,answer\na,b\n```", "question,answer\na,b\nc,d", "question, answer"]
)
@pytest.mark.parametrize("place", [1, 2])
def test_a_header_that_an_answer_shows_makes_no_table(tmp_path: Path, shown: str, place: int) -> None:
    expected = [("What is a?", "It is a."), ("What is b?", "It is b."), ("What is c?", "It is c.")]
    expected[place] = ("Which columns?", f"These:\n{shown}")
    path = tmp_path / "faq.txt"
    path.write_text("\n\n".join(f"Q: {question}\nA: {answer}" for question, answer in expected))
    rows = list(read_rows(Content(RawFile("faq.txt", path, path.stat().st_size))))
    assert [(row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)] == expected


def test_a_table_under_a_few_lines_of_text_is_one(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_text("Export\nof May\n\nid,question,answer\n1,What?,That.\n")
    (row,) = read_rows(Content(RawFile("table.txt", path, path.stat().st_size)))
    assert isinstance(row, Found)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r'"\"There\", he said"', '"There", he said'),
        (r'"He said: \"There\""', 'He said: "There"'),
        ('"He said: ""There"""', 'He said: "There"'),
        (r'"In C:\temp, D:\"', "In C:\\temp, D:\\"),
    ],
)
def test_quotes_at_the_edges_of_a_cell_are_read_as_they_are_escaped(
    tmp_path: Path, written: str, said: str
) -> None:
    rows = read(tmp_path, f"Where?,{written}\nAnd b?,{written}\n")
    assert [row.messages[1][1] for row in rows if isinstance(row, Found)] == [said, said]


def test_the_delimiter_that_a_file_names_is_taken(tmp_path: Path) -> None:
    rows = read_document(tmp_path, "table.csv", "sep=;\nWhat, then?;That.\nWhy, so?;Because.\n")
    assert [row.messages[0][1] for row in rows if isinstance(row, Found)] == ["What, then?", "Why, so?"]


@pytest.mark.parametrize("form", ["\t{}\n", "{}\t\n"])
def test_tabs_at_the_edges_of_lines_part_no_pairs(tmp_path: Path, form: str) -> None:
    (row,) = read_document(tmp_path, "story.txt", "".join(map(form.format, ["Once?", "It was.", "The end."])))
    assert isinstance(row, Refused)
    assert row.reason == RejectReason.NO_PAIRS
