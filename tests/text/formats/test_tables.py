"""CSV, Parquet and workbooks."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from workbook_files import workbook_of


def read(tmp_path, data: bytes, name="rows.csv", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_rows(Content(RawFile(name, path, len(data)), **options)))


def pairs(rows):
    return [(row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("header", ["question{}answer", "问题{}答案", "\ufeffinstruction{}output"])
def test_delimiter_and_header_are_found(tmp_path, delimiter, header):
    text = (
        header.format(delimiter)
        + f'\r\n"多行\n问？"{delimiter}"a{delimiter}""b"""\r\n简单？{delimiter}是。\r\n'
    )
    assert pairs(read(tmp_path, text.encode())) == [("多行\n问？", f'a{delimiter}"b"'), ("简单？", "是。")]


def test_columns_can_be_named(tmp_path):
    rows = read(
        tmp_path, b"id,title,body\n1,what?,that\n", column_map={"question": "title", "answer": "body"}
    )
    assert pairs(rows) == [("what?", "that")]


def test_unnamed_columns_are_refused_row_by_row(tmp_path):
    rows = read(tmp_path, b"id,title,body\n1,what?,that\n2,x,y\n")
    assert [(row.line, row.reason.value) for row in rows] == [(2, "unknown_fields"), (3, "unknown_fields")]


def test_ragged_rows_are_refused_with_their_line(tmp_path):
    rows = read(tmp_path, "question,answer\n甲？,一。\n乙？\n丙？,三。,多\n丁？,四。\n".encode())
    assert pairs(rows) == [("甲？", "一。"), ("丁？", "四。")]
    assert [row.line for row in rows if not isinstance(row, Found)] == [3, 4]


def test_the_separator_line_of_excel_is_skipped(tmp_path):
    assert pairs(read(tmp_path, "sep=;\nquestion;answer\n甲？;一。\n".encode())) == [("甲？", "一。")]


def test_parquet_whatever_it_is_called(tmp_path):
    stream = io.BytesIO()
    pq.write_table(pa.table({"question": ["甲？", None], "answer": ["一。", "x"]}), stream)
    rows = read(tmp_path, stream.getvalue(), "rows.txt")
    assert pairs(rows) == [("甲？", "一。")]
    assert rows[1].reason.value == "missing_question"


def test_a_broken_parquet_file_is_reported(tmp_path):
    assert [row.reason.value for row in read(tmp_path, b"PAR1 nothing more")] == ["unreadable_file"]


def test_a_workbook(tmp_path):
    data = workbook_of([["问题", "答案"], ["甲？", "一。"]])
    assert pairs(read(tmp_path, data, "rows.xlsx")) == [("甲？", "一。")]


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + bytes(99), b"PK\x03\x04" + bytes(99), bytes(range(256)) * 8]
)
def test_binary_files_are_reported(tmp_path, data):
    assert [row.reason.value for row in read(tmp_path, data, "a.md")] == ["binary_file"]


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \n\n"])
def test_empty_files_are_reported(tmp_path, data):
    assert [row.reason.value for row in read(tmp_path, data, "a.md")] == ["empty_file"]
