"""The bytes that tell most about an encoding: those around bytes above ASCII."""

import re

SAMPLE_BYTES = 4096
_AROUND = re.compile(rb"[^\n\x80-\xff]{0,24}[\x80-\xff][^\n]{0,600}\n?")


def sample_of(data: bytes, size: int = SAMPLE_BYTES) -> bytes:
    """Lines, or parts of long ones, with bytes above ASCII, about ``size`` bytes of them, from the start.

    Args:
        data: The bytes of a file or a part of one.
        size: How many bytes are enough.
    """
    if len(data) <= size:
        return data
    parts: list[bytes] = []
    held = 0
    for found in _AROUND.finditer(data):
        parts.append(found[0])
        held += len(found[0])
        if held >= size:
            break
    return b"".join(parts) or data[:size]
