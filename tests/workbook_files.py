"""Small workbooks, written without a library for them."""

import io
import zipfile
from collections.abc import Sequence

_SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_RELATION = f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_RELATIONS}/'


def workbook_of(
    rows: Sequence[Sequence[str | None]], first_reference: str = "A1", merged: Sequence[str] = ()
) -> bytes:
    """An ``.xlsx`` file with one sheet of texts; None leaves a cell empty, and ranges such as ``A2:A3`` are merged."""
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    cells = cells.replace("<c ", f'<c r="{first_reference}" ', 1)
    ranges = "".join(f'<mergeCell ref="{one}"/>' for one in merged)
    ranges = f"<mergeCells>{ranges}</mergeCells>" if merged else ""
    parts = {
        "_rels/.rels": f'{_RELATION}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {_SPACE} xmlns:r="{_RELATIONS}"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{_RELATION}worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {_SPACE}><sheetData>{cells}</sheetData>{ranges}</worksheet>",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return stream.getvalue()


def _cell(text: str | None) -> str:
    return "<c/>" if text is None else f'<c t="inlineStr"><is><t>{text}</t></is></c>'
