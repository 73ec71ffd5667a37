"""Lines that are UTF-8 by themselves, inside bytes that as a whole are not.

Valid UTF-8 is hardly ever there by chance. So what such a file is in otherwise is told by its other lines, and lines
that read well in that encoding too, because their few letters look like single characters of it, are found here.
"""

from collections.abc import Iterator

import numpy as np


def find_utf8_lines(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Bounds and text of the lines that have bytes above ASCII and are valid UTF-8.

    Args:
        data: Bytes that begin and end between characters.
    """
    raw = np.frombuffer(data, np.uint8)
    starts = np.append(0, np.flatnonzero(raw == 0x0A) + 1)
    ends = np.append(starts[1:], len(raw))
    is_line = ends > starts
    starts, ends = starts[is_line], ends[is_line]
    if not len(starts):
        return
    high, begins = raw >= 0x80, raw >= 0xC0
    goes_on = high & ~begins
    bad = goes_on.copy()  # a quick look that leaves few lines to decode: a character begins, then goes on
    bad[1:] &= ~high[:-1]
    bad[1:] |= begins[:-1] & ~goes_on[1:]
    may_be = ~np.logical_or.reduceat(bad, starts) & np.logical_or.reduceat(high, starts)
    for start, end in zip(starts[may_be].tolist(), ends[may_be].tolist(), strict=True):
        try:
            yield start, end, data[start:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
