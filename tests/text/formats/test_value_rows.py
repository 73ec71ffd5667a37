"""Rows inside of values: a table that is written column by column, and questions below their passage."""

import json
from pathlib import Path
from typing import Any

import pytest

from documents import pairs_in
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.formats.value_rows import rows_of_columns
from qwen_pipeline.text.raw_file import RawFile

COLUMNS = {
    "instruction": ["Translate.", "Sum."],
    "input": ["chat", "1+1"],
    "output": ["cat", "2"],
    "system": ["Be short.", "Be exact."],
    "reasoning": ["A French animal.", None],
    "source": [1, 2],
}
ROWS = [
    (("system", "Be short."), ("user", "Translate.\nchat"), ("assistant", "<think>\nA French animal.\n</think>\n\ncat")),
    (("system", "Be exact."), ("user", "Sum.\n1+1"), ("assistant", "2")),
]  # fmt: skip


def messages_of(value: dict[str, Any], folder: Path) -> list[Any]:
    path = folder / "table.json"
    path.write_text(json.dumps(value))
    rows = rows_of_columns(value, 1, 0, Content(RawFile(path.name, path, path.stat().st_size))) or []
    return [row.messages for row in rows if isinstance(row, Found)]


def by_number(column: list[Any]) -> dict[str, Any]:
    return {str(at): cell for at, cell in enumerate(column)}


@pytest.mark.parametrize("write", [list, by_number])
def test_every_column_of_a_table_is_in_its_rows(write: Any, tmp_path: Path) -> None:
    table = {name: write(column) for name, column in COLUMNS.items()}
    assert messages_of(table, tmp_path) == ROWS


def test_a_system_prompt_beside_the_columns_holds_for_every_row(tmp_path: Path) -> None:
    table = {"question": ["What?", "Where?"], "answer": ["A cat.", "Rome."], "system": "Be short."}
    assert [row[0] for row in messages_of(table, tmp_path)] == [("system", "Be short.")] * 2


def test_columns_of_other_lengths_are_no_table(tmp_path: Path) -> None:
    assert messages_of({"question": ["What?", "Where?"], "answer": ["A cat."]}, tmp_path) == []


@pytest.mark.parametrize("name", ["context", "passage", "context_text", "article"])
def test_questions_inside_are_asked_about_the_passage_above_them(tmp_path: Path, name: str) -> None:
    text = json.dumps([{name: "Rome has hills.", "qas": [{"question": "What?", "answers": ["Hills."]}]}])
    (pair,) = pairs_in(tmp_path, "rows.json", text)
    assert pair == ("What?\nRome has hills.", "Hills.")
