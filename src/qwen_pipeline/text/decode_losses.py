"""Bytes to text in a known encoding, with the exact bytes that fit no character."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import BY_NAME

REPLACEMENT = "\ufffd"
_WINDOW = 1 << 12


@dataclass(frozen=True, slots=True)
class Loss:
    """Bytes from ``start_byte`` up to ``end_byte`` that stand as one U+FFFD at ``char`` in the text."""

    char: int
    start_byte: int
    end_byte: int


def decode_with_losses(data: bytes, encoding: str) -> tuple[str, list[Loss], str]:
    """Decode bytes; what fits no character becomes U+FFFD.

    Args:
        data: The bytes.
        encoding: A name that Python knows.

    Returns:
        The text, its losses with places counted from the start of ``data``, and the encoding's name, wider
        than the one asked for where that has the characters.
    """
    candidate = BY_NAME.get(encoding)
    names = (encoding, *candidate.wider) if candidate else (encoding,)
    for name in names:
        try:
            return data.decode(name), [], name
        except UnicodeDecodeError:
            continue
    parts: list[str] = []
    losses: list[Loss] = []
    chars = 0
    for start, end, text in _runs(data, names[-1]):
        if text is None:
            losses.append(Loss(chars, start, end))
            text = REPLACEMENT
        parts.append(text)
        chars += len(text)
    return "".join(parts), losses, names[-1]


def _runs(data: bytes, encoding: str) -> Iterator[tuple[int, int, str | None]]:
    """Stretches of text, and between them bytes that fit nothing (None)."""
    start = 0
    while start < len(data):
        end = min(start + _WINDOW, len(data))
        while start < end:
            try:
                text = data[start:end].decode(encoding)
                yield start, end, text
                start = end
            except UnicodeDecodeError as error:
                bad_start, bad_end = start + error.start, start + error.end
                if error.start:
                    yield start, bad_start, data[start:bad_start].decode(encoding, "replace")
                if bad_end >= end < len(data) and bad_start > start:
                    start = bad_start  # a character that the window's end cut
                    break
                yield bad_start, bad_end, None
                start = bad_end
