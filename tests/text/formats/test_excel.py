"""Archives that look like workbooks: those that are none, and those that would take all memory."""

import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.excel import read_excel
from qwen_pipeline.text.formats.row import Found, Refused, Row
from qwen_pipeline.text.formats.sheet_area import largest_area
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from workbook_files import workbook_of

ROWS = [["question", "answer"], ["What?", "That."]]


def content_of(folder: Path, name: str, data: bytes) -> Content:
    path = folder / name
    path.write_bytes(data)
    return Content(RawFile(name, path, len(data)))


def archive_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "remedy"), [("text", "Markdown or CSV"), ("presentation", "text or Markdown")]
)
def test_an_open_document_that_is_no_table_is_refused_with_the_remedy(
    kind: str, remedy: str, tmp_path: Path
) -> None:
    mimetype = f"application/vnd.oasis.opendocument.{kind}".encode()
    data = archive_of({"mimetype": mimetype, "content.xml": b"<office:document-content/>"})
    (row,) = read_rows(content_of(tmp_path, "a.odt", data))
    assert isinstance(row, Refused)
    assert row.reason == "binary_file"
    assert f"save it as {remedy}" in row.detail.replace("text, ", "")


def test_an_archive_that_is_no_workbook_is_not_read_whole(tmp_path: Path) -> None:
    content = content_of(tmp_path, "a.zip", archive_of({"photo.raw": bytes(16 * 2**20)}))
    _ = content.head
    tracemalloc.start()
    assert read_excel(content) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


@pytest.mark.parametrize(
    "reference", ["ZZZZZZZZZZ1", "XFD1048576", "A99999999999", "A" * 9_999 + "1", "A" + "9" * 9_999]
)
def test_a_workbook_that_spans_too_many_cells_is_refused_unread(reference: str, tmp_path: Path) -> None:
    (row,) = read_rows(content_of(tmp_path, "a.xlsx", workbook_of(ROWS, reference)))
    assert isinstance(row, Refused)
    assert "save it as CSV" in row.detail


@pytest.mark.parametrize(("reference", "area"), [("A1", 2), ("C5", 15), ("aa10", 270), ("XFD1", 32_768)])
def test_the_area_reaches_to_the_last_row_and_column(reference: str, area: int) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook_of(ROWS, reference))) as archive:
        assert largest_area(archive) == area


def test_rows_without_a_number_count(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook_of(ROWS * 50, "C1"))) as archive:
        assert largest_area(archive) == 300


def test_a_reference_in_an_answer_is_text(tmp_path: Path) -> None:
    rows: list[Row] = list(
        read_rows(
            content_of(
                tmp_path, "a.xlsx", workbook_of([*ROWS, ["Why?", ' r="ZZZZZZ1" and &lt;c r="ZZZZ1">']])
            )
        )
    )
    assert [type(row) for row in rows] == [Found, Found]


def test_a_tag_that_two_pieces_share_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_pipeline.text.formats.sheet_area._BLOCK_BYTES", 5)
    with zipfile.ZipFile(io.BytesIO(workbook_of(ROWS, "C5"))) as archive:
        assert largest_area(archive) == 15


def test_a_workbook_may_be_gzipped_or_empty(tmp_path: Path) -> None:
    (row,) = read_rows(content_of(tmp_path, "a.xlsx.gz", gzip.compress(workbook_of(ROWS))))
    assert isinstance(row, Found)
    (row,) = read_rows(content_of(tmp_path, "a.xlsx", workbook_of([])))
    assert isinstance(row, Refused)
    assert row.reason == "empty_file"
