"""Excel workbooks (xlsx, xlsm, xlsb, xls, ods): every sheet is a table with a header."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.field_roles import map_fields
from qwen_pipeline.text.formats.merged_cells import Cell, fill_merged, join_answers
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.registry import adapter
from qwen_pipeline.text.formats.row import Row, refuse
from qwen_pipeline.text.formats.sheet_area import MOST_CELLS, largest_area
from qwen_pipeline.text.formats.table_header import (
    MOST_ROWS_ABOVE,
    fault_of_width,
    find_header,
    name_columns,
    names_without_header,
)
from qwen_pipeline.text.schema import RejectReason
from qwen_pipeline.text.unreadable import ZIP_FAULTS, remedy_for

_LONGEST_KIND = 100
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
        with content.open() as stream, zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            if not any(name.startswith("xl/") for name in names) and "content.xml" not in names:
                return None
            fault = _fault(archive, names)
    except ZIP_FAULTS:
        return None
    return iter([fault]) if fault else _read(content)


def _fault(archive: zipfile.ZipFile, names: list[str]) -> Row | None:
    """Why an archive that looks like a workbook is not read as one."""
    try:
        other = _other_document(archive) if {"mimetype", "content.xml"} <= set(names) else ""
        area = largest_area(archive)
    except (*ZIP_FAULTS, RuntimeError, zlib.error, OSError):  # broken, or locked with a password
        return None  # the reader of workbooks says so in its own words
    if other:
        return refuse(1, RejectReason.BINARY_FILE, f"the file is binary ({other}){remedy_for(other)}")
    if area > MOST_CELLS:
        detail = f"a sheet spans more than {MOST_CELLS} cells; delete the stray ones, or save it as CSV"
        return refuse(1, RejectReason.UNREADABLE_FILE, detail)
    return None


def _other_document(archive: zipfile.ZipFile) -> str:
    """What an OpenDocument file is that holds no sheets, in words; empty for one that does."""
    with archive.open("mimetype") as stream:
        kind = stream.read(_LONGEST_KIND).decode("ascii", "replace")
    if "spreadsheet" in kind:
        return ""
    return f"OpenDocument {'presentation' if 'presentation' in kind else 'document'}"


def _read(content: Content) -> Iterator[Row]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with content.open() as stream:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))
        sheets = [
            (sheet.to_python(skip_empty_area=False), sheet.merged_cell_ranges or [])
            for sheet in map(workbook.get_sheet_by_name, workbook.sheet_names)
        ]
    except CalamineError as error:
        yield refuse(1, RejectReason.UNREADABLE_FILE, f"no readable workbook: {str(error)[:120]}")
        return
    rows = 0
    for cells, merged in sheets:
        for row in _read_sheet(cells, merged, content):
            rows += 1
            yield row
    if not rows:
        yield refuse(1, RejectReason.EMPTY_FILE, "the workbook has no rows")


def _read_sheet(sheet: list[list[Any]], merged: list[tuple[Cell, Cell]], content: Content) -> Iterator[Row]:
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
    roles = map_fields(names, content.column_map)
    below = filled[start + 1 :]
    spread = fill_merged(below, merged)
    for number, cells in join_answers(
        below, spread, {role: names.index(name) for role, name in roles.items()}
    ):
        # a sheet is as wide as its widest row: what is missing is an empty cell
        if fault := fault_of_width(max(_width(cells), len(names)), len(names)):
            yield refuse(number, RejectReason.MALFORMED_ROW, fault, "; ".join(map(str, cells)))
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
