"""The bytes that tell most about an encoding: those around bytes above ASCII."""

import re

SAMPLE_BYTES = 4096
_HIGH = re.compile(rb"[\x80-\xff]")
_BEFORE, _AFTER = 24, 600  # bytes of a line that are taken on both sides of its first byte above ASCII


def sample_of(data: bytes, size: int = SAMPLE_BYTES) -> bytes:
    """Lines, or parts of long ones, with bytes above ASCII, about ``size`` bytes of them, from the start.

    Args:
        data: The bytes of a file or a part of one.
        size: How many bytes are enough.
    """
    if len(data) <= size:
        return data
    parts: list[bytes] = []
    held = at = 0
    while held < size and (found := _HIGH.search(data, at)):
        first = found.start()
        start = max(at, first - _BEFORE, data.rfind(b"\n", at, first) + 1)
        stop = first + 1 + _AFTER
        end = data.find(b"\n", first + 1, stop + 1) + 1 or min(stop, len(data))
        parts.append(data[start:end])
        held += end - start
        at = end
    return b"".join(parts) or data[:size]
