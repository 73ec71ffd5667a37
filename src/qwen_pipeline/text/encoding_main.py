"""The encoding that a file is in, or most of it, from a sample."""

import re

from qwen_pipeline.text.encoding_candidates import (
    BIG5,
    DOUBLE_BYTE,
    EUC_JP,
    GB18030,
    MIXABLE,
    SHIFT_JIS,
    SINGLE_BYTE,
    UTF8,
    UTF16_BE,
    UTF16_LE,
    UTF32_BE,
    UTF32_LE,
    Candidate,
)
from qwen_pipeline.text.encoding_change import find_changes
from qwen_pipeline.text.encoding_clean import is_clean, read, reading_of
from qwen_pipeline.text.encoding_guess import ABOVE_ASCII, SUREST, Guess, is_cut_character, rank, sample_of
from qwen_pipeline.text.encoding_utf8_lines import find_utf8_lines
from qwen_pipeline.text.language_costs import CHINESE_JAPANESE_KOREAN, units_of

HEAD_BYTES = 2048
_SEARCHED_BYTES = 1 << 14  # for lines in UTF-8
_LEAST_HIGH_BYTES = 4  # fewer bytes that are no UTF-8 are damage rather than another encoding
_CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_FREQUENT = (GB18030, UTF16_LE, BIG5, SHIFT_JIS, EUC_JP, UTF16_BE)
_SHORT_BYTES = 240
_LAST_PLANE = 0x10
_FEW_CHARACTERS = 64  # above ASCII: more of them are never valid UTF-8 by chance
_THREE_BYTE = 0x800
_BITS_OVER_ASCII = 40.0  # by which UTF-16 must be cheaper than printable ASCII, which is far more frequent
_BITS_OVER_DENSE_ASCII = 16.0  # the same for ASCII without spaces and lines
_ASCII_HEAD = 256
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F\s]*")
_BITS_OVER_UTF8 = 3.0
_BITS_OVER_LONGER_UTF8 = 12.0  # the same where it has characters of three bytes
_LEAST_VARIETY = 5  # characters of such UTF-16 that differ


def find_main(data: bytes) -> Guess:
    """The cheapest reading of the bytes.

    Args:
        data: Bytes that are not plainly UTF-8.
    """
    plain = _ascii_in_utf16(data[:HEAD_BYTES])
    if plain is not None:
        return Guess(plain, 0.0, "", SUREST)
    if (certain := _find_certain(data)) is not None:
        return certain
    rest = _without_utf8_lines(data)
    return _find_certain(rest) or _find_cheapest(rest)


def _find_certain(data: bytes) -> Guess | None:
    for candidate in _MOST_FREQUENT:
        reading = read(data[:HEAD_BYTES], candidate, at_end=True)
        if reading is not None and reading.is_certain():
            return Guess(candidate, 0.0, "", SUREST)
    return None


def _without_utf8_lines(data: bytes) -> bytes:
    """The lines from the first that is no UTF-8, without those that are; all bytes where that is no question."""
    if b"\0" in data[:HEAD_BYTES]:
        return data
    try:
        data.decode("utf-8")
        return data
    except UnicodeDecodeError as error:
        if is_cut_character(error):
            return data
        begin = data.rfind(b"\n", 0, error.start) + 1
    part = data[begin : begin + _SEARCHED_BYTES]
    places = [
        (start, end)
        for start, end, text in find_utf8_lines(part)
        if not is_doubtful_utf8(part[start:end], text)
    ]
    cuts = [0, *(place for bounds in places for place in bounds), len(part)]
    rest = b"".join(part[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True))
    return rest if (begin or places) and len(ABOVE_ASCII.findall(rest)) >= _LEAST_HIGH_BYTES else data


def _find_cheapest(data: bytes) -> Guess:
    guess = _checked(_guess(data[:HEAD_BYTES], data), data)
    if is_clean(data[:HEAD_BYTES], guess.candidate):
        return guess
    # The sample may hold a change: then the start or the end tells better alone.
    for part in (data[:_SHORT_BYTES], data[-len(data) // 2 :][-_SHORT_BYTES:]):
        alone = _checked(_guess(part, part), part)
        if is_clean(part, alone.candidate):
            return alone
    return guess


def _checked(guess: Guess, data: bytes) -> Guess:
    """A single-byte encoding reads anything, also a mixture of two others: try whether that is cheaper."""
    if guess.candidate not in SINGLE_BYTE:
        return guess
    sample = sample_of(data, 2 * _SHORT_BYTES)[: 4 * _SHORT_BYTES]
    stretches, _ = find_changes(sample, (guess.candidate, *MIXABLE), guess.candidate, None)
    most = max(stretches, key=lambda stretch: stretch.end - stretch.start, default=None)
    return (
        guess
        if most is None or most.candidate is guess.candidate
        else Guess(most.candidate, guess.bits, "", 0.5)
    )


def _guess(head: bytes, data: bytes) -> Guess:
    """The cheapest reading, of the head for encodings that are not cut at line ends, of a sample for the others."""
    wide = _wide_for(head)
    sample = sample_of(data)
    readings = {candidate: read(sample, candidate, at_end=True) for candidate in DOUBLE_BYTE}
    readings |= {candidate: read(head, candidate, at_end=True) for candidate in wide}
    likely = [candidate for candidate, found in readings.items() if found is not None and found.is_likely()]
    best_wide = rank(head, wide)[0]
    others = [found for found in likely if found not in wide]
    if not others:
        reading = readings[best_wide.candidate]
        is_usual = reading is not None and reading.is_usual()
        others = [UTF8, *DOUBLE_BYTE] if is_usual else [UTF8, *DOUBLE_BYTE, *SINGLE_BYTE]
    narrow = rank(sample, others)
    if best_wide.bits < rank(head, (narrow[0].candidate,))[0].bits:
        return rank(head, (best_wide.candidate, *(guess.candidate for guess in narrow[:3])))[0]
    return narrow[0]


def _wide_for(head: bytes) -> tuple[Candidate, ...]:
    """UTF-32 only where every fourth byte says so: it never is by chance."""
    whole = len(head) // 4 * 4
    little = whole > 0 and not any(head[3:whole:4]) and max(head[2:whole:4]) <= _LAST_PLANE
    big = whole > 0 and not any(head[0:whole:4]) and max(head[1:whole:4]) <= _LAST_PLANE
    return (UTF16_LE, UTF16_BE, *((UTF32_LE,) if little else ()), *((UTF32_BE,) if big else ()))


def is_doubtful_utf8(data: bytes, text: str) -> bool:
    """Whether bytes that are valid UTF-8 may be meant in another way.

    Args:
        data: The bytes.
        text: The same as UTF-8.
    """
    high = len(data) - len(text)
    if _CONTROL.search(text, 0, HEAD_BYTES):
        head = data[:HEAD_BYTES]
        if _ascii_in_utf16(head) is not None:
            return True
        return rank(head, _wide_for(head))[0].bits + _BITS_OVER_UTF8 < rank(head, (UTF8,))[0].bits
    if not high:
        return "\0" in text or _is_utf16_over_ascii(data)
    if high > _FEW_CHARACTERS:
        return False
    if reading_of(text, "", CHINESE_JAPANESE_KOREAN).is_usual():
        return False
    units = units_of(text)
    over = _BITS_OVER_LONGER_UTF8 if (units >= _THREE_BYTE).any() else _BITS_OVER_UTF8
    utf8, *others = (rank(sample_of(data), (candidate,))[0] for candidate in (UTF8, *DOUBLE_BYTE))
    # The rarer an encoding, the rarer still its text that happens to be valid UTF-8: its bits count twice.
    return min(guess.bits + guess.candidate.bits for guess in others) + over < utf8.bits


def _ascii_in_utf16(head: bytes) -> Candidate | None:
    """UTF-16 that is ASCII with a zero byte beside each character, which nothing else is."""
    if len(head) < _LEAST_VARIETY or b"\0" not in head:
        return None
    even, odd = head[0::2], head[1::2]
    if not any(odd) and all(even) and even.isascii():
        return UTF16_LE
    return UTF16_BE if not any(even) and all(odd) and odd.isascii() else None


def _is_utf16_over_ascii(data: bytes) -> bool:
    """Chinese and Japanese in UTF-16 may be printable ASCII byte by byte."""
    head = data[:_ASCII_HEAD]
    if len(data) % 2 or _HEXADECIMAL.fullmatch(head):
        return False
    ascii_reading, *_ = rank(head, (UTF8,))
    best = rank(head, (UTF16_LE, UTF16_BE))[0]
    variety = len(set(head.decode(best.candidate.name, "replace")))
    over = _BITS_OVER_ASCII if b"\n" in head or b" " in head else _BITS_OVER_DENSE_ASCII
    return variety >= _LEAST_VARIETY and best.bits + over < ascii_reading.bits
