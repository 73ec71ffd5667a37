"""Quotes that are left open cost a table's reader a bounded number of looks at each line."""

from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats import delimited
from qwen_pipeline.text.formats.row import Found, Row
from qwen_pipeline.text.formats.row_lines import RowLines


class CountedLines(RowLines):
    """Counts the lines that all instances hand out."""

    handed_out = 0

    def __next__(self) -> str:
        CountedLines.handed_out += 1
        return super().__next__()


def read(folder: Path, text: str) -> list[Row]:
    return read_document(folder, "table.csv", "question,answer\n" + text)


@pytest.mark.parametrize("line", ['a","\n', 'a","\nq,a\n'])
def test_lines_of_open_quotes_are_read_a_bounded_number_of_times(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "RowLines", CountedLines)
    counts = []
    for size in (8_000, 16_000):
        CountedLines.handed_out = 0
        read(tmp_path, line * size)
        counts.append(CountedLines.handed_out)
    assert counts[1] - counts[0] < 25 * 8_000 * line.count("\n")


def test_a_row_of_many_lines_is_read_behind_many_open_quotes(tmp_path: Path) -> None:
    cell = "text\n" * 100
    text = 'a","\n' * 6_000 + "q,a\n" * 50 + f'What?,"{cell}"\n'
    rows = [row for row in read(tmp_path, text) if isinstance(row, Found)]
    assert [row.messages[1][1].count("\n") for row in rows] == [0] * 50 + [100]
