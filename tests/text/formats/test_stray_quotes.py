"""Quotes in the wrong places of a table, and values without an end: one row is lost at most, and said to be."""

import gzip
import json

import pytest

from qwen_pipeline.text.formats import content as content_module
from qwen_pipeline.text.formats import json_values
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

ROWS = [(f"question {number}?", f"answer {number}, long enough") for number in range(30)]


def rows_of(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size))))


def pairs_of(rows):
    return [tuple(text for _, text in row.messages) for row in rows if isinstance(row, Found)]


def table(lines):
    return "question,answer\n" + "".join(f"{line}\n" for line in lines)


GOOD = [f'{question},"{answer}"' for question, answer in ROWS]


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ('said,"He said "hi" to me"', ("said", 'He said "hi" to me')),
        ('"Hello" he said,an answer', ('"Hello" he said', "an answer")),
        ('"a, b" ,"an answer"', ("a, b ", "an answer")),
        ('a 5" pipe,it is wide', ('a 5" pipe', "it is wide")),
    ],
)
def test_quotes_inside_a_line_are_read_as_they_stand(tmp_path, line, pair):
    rows = rows_of(tmp_path, "t.csv", table([*GOOD[:3], line, *GOOD[3:]]))
    assert pairs_of(rows) == [*ROWS[:3], pair, *ROWS[3:]]


@pytest.mark.parametrize(
    "line", ['open,"an answer that never ends', '"an open question,answer', 'a,"b "c" d']
)
@pytest.mark.parametrize("at", [0, 3, 30])
def test_an_open_quote_costs_its_own_row(tmp_path, line, at):
    rows = rows_of(tmp_path, "t.csv", table([*GOOD[:at], line, *GOOD[at:]]))
    assert pairs_of(rows) == ROWS
    (refused,) = (row for row in rows if isinstance(row, Refused))
    assert refused.line == at + 2
    assert "quote" in refused.detail
    assert refused.excerpt.startswith(line[:10])


def test_a_quote_left_open_in_every_row(tmp_path):
    rows = rows_of(tmp_path, "t.csv", table(f'"{question},{answer[:8]}' for question, answer in ROWS))
    assert not pairs_of(rows)
    assert len(rows) == len(ROWS)


def test_a_cell_of_several_lines_stays_one(tmp_path):
    lines = ['q,"first line\n\nthird, with ""quotes"""', *GOOD]
    rows = rows_of(tmp_path, "t.csv", table(lines))
    assert pairs_of(rows) == [("q", 'first line\n\nthird, with "quotes"'), *ROWS]


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr(content_module, "WHOLE_FILE_BYTES", 256)
    monkeypatch.setattr(content_module, "LONGEST_LINE", 1024)
    monkeypatch.setattr("qwen_pipeline.text.formats.json_lines.LONGEST_LINE", 1024)
    monkeypatch.setattr(json_values, "_LONGEST_VALUE", 1024)


LAST = '{"question": "q", "answer": "a"}\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("first", ["", LAST])
def test_a_value_without_bounds_is_one_refusal(tmp_path, short_limits, pack, first):
    long = '{"question": "q", "answer": "' + "x y " * 2000 + '"}\n'
    name = "t.jsonl.gz" if pack is gzip.compress else "t.jsonl"
    rows = rows_of(tmp_path, name, pack((first + long + LAST).encode()))
    assert pairs_of(rows) == [("q", "a")] * (2 if first else 1)
    (refused,) = (row for row in rows if isinstance(row, Refused))
    assert "million characters" in refused.detail
    assert refused.line == (2 if first else 1)


def test_an_array_that_is_never_closed_is_one_refusal(tmp_path, short_limits):
    rows = rows_of(tmp_path, "t.json", "[" + LAST + ',{"question": "q", "answer": "' + "never closed " * 999)
    assert pairs_of(rows) == [("q", "a")]
    assert len(rows) <= 3


def test_an_object_too_long_to_be_held_gives_the_rows_of_its_lists(tmp_path, short_limits):
    one, two = ([{"question": f"{name}{n}?", "answer": f"answer {n}"} for n in range(200)] for name in "ab")
    text = json.dumps({"version": "1.0", "train": one, "about": {"by": "us"}, "test": two}, indent=1)
    rows = rows_of(tmp_path, "t.json", text)
    wanted = [(row["question"], row["answer"]) for row in one + two]
    assert [pair for pair in pairs_of(rows) if pair in wanted] == wanted
    lines = text.split("\n")
    found = [row for row in rows if isinstance(row, Found)]
    assert all(
        f'"question": "{row.messages[0][1]}"' in lines[row.line - 1 : row.line + 1][-1] for row in found
    )
