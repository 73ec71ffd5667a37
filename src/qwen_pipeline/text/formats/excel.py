"""Excel workbooks (xlsx, xlsm, xlsb, xls, ods): every sheet is a table with a header."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.formats.table_header import (
    MOST_ROWS_ABOVE,
    find_header,
    name_columns,
    names_without_header,
)
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.unreadable import ZIP_FAULTS

_OLE = b"\xd0\xcf\x11\xe0"
_WORKBOOK_STREAM = re.compile("(?:Workbook|Book)\0".encode("utf-16-le"))


@adapter(".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", order=11)
def read_excel(content: Content) -> Iterator[Row] | None:
    """The rows of all sheets, or None where the file is no workbook; a row's line is its number in the sheet."""
    if content.head.startswith(_OLE):
        with content.open() as stream:
            return _read(content) if _WORKBOOK_STREAM.search(stream.read()) else None
    if not content.head.startswith(b"PK\x03\x04"):
        return None
    try:
        with content.open() as stream, zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
            names = archive.namelist()
    except ZIP_FAULTS:
        return None
    is_workbook = any(name.startswith("xl/") for name in names) or "content.xml" in names
    return _read(content) if is_workbook else None


def _read(content: Content) -> Iterator[Row]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with content.open() as stream:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))
        sheets = [
            workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in workbook.sheet_names
        ]
    except CalamineError as error:
        yield refuse(1, RejectReason.UNREADABLE_FILE, f"no readable workbook: {str(error)[:120]}")
        return
    rows = 0
    for sheet in sheets:
        for row in _read_sheet(sheet, content):
            rows += 1
            yield row
    if not rows:
        yield refuse(1, RejectReason.EMPTY_FILE, "the workbook has no rows")


def _read_sheet(sheet: list[list[Any]], content: Content) -> Iterator[Row]:
    filled = [
        (number, cells) for number, cells in enumerate(sheet, 1) if any(str(cell).strip() for cell in cells)
    ]
    if not filled:
        return
    texts = [[str(_value(cell)).strip() for cell in row] for _, row in filled[:MOST_ROWS_ABOVE]]
    start = find_header(texts, content.column_map)
    names, notes = names_without_header(texts[0]) if start is None else None, tuple[str, ...]()
    if names:
        start = -1
    else:
        start = start or 0
        header = texts[start][: _width(texts[start])]
        names, notes = name_columns([name or f"column {at + 1}" for at, name in enumerate(header)])
    for number, cells in filled[start + 1 :]:
        if _width(cells) > len(
            names
        ):  # a sheet is as wide as its widest row: what is missing is an empty cell
            detail = f"{_width(cells)} cells where the header has {len(names)}"
            yield refuse(number, RejectReason.MALFORMED_ROW, detail, "; ".join(map(str, cells)))
            continue
        record = {name: _value(cell) for name, cell in zip(names, cells, strict=False)}
        yield row_of_record(record, number, 0, content.column_map, content.tool_turns, notes)


def _width(cells: list[Any]) -> int:
    """How many cells there are up to the last that is filled."""
    return max((at for at, cell in enumerate(cells, 1) if str(cell).strip()), default=0)


def _value(cell: Any) -> int | float | str:
    """A cell's value; workbooks hold whole numbers as floats too."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return cell if isinstance(cell, int | float) else str(cell)
