"""How many cells the sheets of an ``.xlsx`` workbook span, told from their references before they are read."""

import re
import zipfile
from collections.abc import Iterator

# A reader holds the whole rectangle from the first cell to the last, filled or not: one stray reference would take
# all memory and end the process. This many cells are 2 GiB.
MOST_CELLS = 2**26
_LONGEST_NAME = 20  # letters or digits; so long a name is of a column or row that no sheet has
_BLOCK_BYTES = 2**20
_LONGEST_TAG = 2**12
_SHEET = re.compile(r"xl/.*sheet.*\.xml$", re.IGNORECASE)
_REFERENCE = re.compile(
    rb"""<(?:\w{1,20}:)?(?:row|c)\s(?:[^<>]{0,400}?\s)?r\s?=\s?["']([A-Za-z]*)([0-9]*)["']"""
)


def largest_area(archive: zipfile.ZipFile) -> int:
    """The cells in the rectangle from A1 to the last row and column of the widest sheet; 0 where it names no cell."""
    sheets = (info for info in archive.infolist() if _SHEET.match(info.filename))
    return max((_area(archive, info) for info in sheets), default=0)


def _area(archive: zipfile.ZipFile, sheet: zipfile.ZipInfo) -> int:
    columns, last_row, rows = {b"A"}, 0, 0
    for block in _blocks(archive, sheet):
        for column, row in _REFERENCE.findall(block):
            columns.add(column)
            last_row = max(last_row, int(row[:_LONGEST_NAME] or 0))
        rows += block.count(b"<row")
    return max(last_row, rows) * max(map(_column_number, columns))


def _blocks(archive: zipfile.ZipFile, sheet: zipfile.ZipInfo) -> Iterator[bytes]:
    """The sheet's XML in pieces that cut no tag in two."""
    rest = b""
    with archive.open(sheet) as stream:
        while block := stream.read(_BLOCK_BYTES):
            data = rest + block
            cut = data.rfind(b"<")
            rest = data[cut:] if cut >= 0 and len(data) - cut < _LONGEST_TAG else b""
            yield data[: len(data) - len(rest)]
    yield rest


def _column_number(letters: bytes) -> int:
    """1 for A, 27 for AA."""
    number = 0
    for letter in letters[:_LONGEST_NAME].upper():
        number = 26 * number + letter - ord("A") + 1
    return number
