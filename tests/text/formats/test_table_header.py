"""Columns are named in the same way in CSV, in Markdown and in a workbook."""

from pathlib import Path

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused, Row
from qwen_pipeline.text.formats.table_header import name_columns
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from workbook_files import workbook_of

ROWS = [["question", "answer", "answer"], ["What?", "first", "second"], ["Where?", "here", ""]]


def as_csv(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def as_markdown(rows: list[list[str]]) -> bytes:
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join([lines[0], "|" + "---|" * len(rows[0]) + "\n", *lines[1:]]).encode()


WRITERS = {".csv": as_csv, ".md": as_markdown, ".xlsx": workbook_of}


def read(folder: Path, suffix: str, rows: list[list[str]]) -> list[Row]:
    path = folder / f"table{suffix}"
    path.write_bytes(WRITERS[suffix](rows))
    return list(read_rows(Content(RawFile(path.name, path, path.stat().st_size))))


@pytest.mark.parametrize("suffix", WRITERS)
def test_of_a_repeated_column_the_first_counts_and_it_is_noted(suffix: str, tmp_path: Path) -> None:
    found = [row for row in read(tmp_path, suffix, ROWS) if isinstance(row, Found)]
    assert [row.messages[1][1] for row in found] == ["first", "here"]
    assert [row.notes for row in found] == [("duplicate_column",)] * 2


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_row_with_more_cells_than_the_header_is_refused(suffix: str, tmp_path: Path) -> None:
    rows = read(tmp_path, suffix, [["question", "answer"], ["What?", "That.", "more"], ["Where?", "Here."]])
    assert isinstance(rows[0], Refused)
    assert rows[0].detail == "3 cells where the header has 2"
    assert isinstance(rows[1], Found)


def test_columns_without_a_name_are_no_repeated_column() -> None:
    assert name_columns(["question", "answer", "", ""])[1] == ()


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_table_of_choices_needs_no_header(suffix: str, tmp_path: Path) -> None:
    rows = [
        ["Find the degree", "0", "4", "2", "6", "B"],
        ["Capital of Peru?", "Lima", "Quito", "La Paz", "Bogota", "A"],
    ]
    found = [row.messages for row in read(tmp_path, suffix, rows) if isinstance(row, Found)]
    assert found == [
        (("user", "Find the degree\nA. 0\nB. 4\nC. 2\nD. 6"), ("assistant", "B")),
        (("user", "Capital of Peru?\nA. Lima\nB. Quito\nC. La Paz\nD. Bogota"), ("assistant", "A")),
    ]


@pytest.mark.parametrize("header", [["id", "question", "A", "B", "C", "D"], ["question", "A", "B", "C"]])
def test_a_header_that_ends_with_a_letter_is_no_choice(header: list[str], tmp_path: Path) -> None:
    rows = read(tmp_path, ".csv", [header, [f"cell {at}" for at in range(len(header))]])
    assert [type(row) for row in rows] == [Refused]
