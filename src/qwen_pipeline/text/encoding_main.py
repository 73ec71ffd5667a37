"""The encoding that a file is in, or most of it, from a sample."""

from qwen_pipeline.text.encoding_candidates import (
    DOUBLE_BYTE,
    MIXABLE,
    SINGLE_BYTE,
    UTF8,
    UTF16_BE,
    UTF16_LE,
    UTF32_BE,
    UTF32_LE,
    Candidate,
)
from qwen_pipeline.text.encoding_change import find_changes
from qwen_pipeline.text.encoding_clean import is_clean
from qwen_pipeline.text.encoding_guess import Guess, rank
from qwen_pipeline.text.encoding_sample import sample_of
from qwen_pipeline.text.language_costs import units_of

HEAD_BYTES = 2048
_SHORT_BYTES = 240
_LAST_PLANE = 0x10
_FEW_CHARACTERS = 64  # above ASCII: more of them are never valid UTF-8 by chance
_THREE_BYTE = 0x800
_BITS_OVER_ASCII = 40.0  # by which UTF-16 must be cheaper than printable ASCII, which is far more frequent
_BITS_OVER_UTF8 = 3.0
_LEAST_VARIETY = 5  # characters of such UTF-16 that differ


def find_main(data: bytes) -> Guess:
    """The cheapest reading of the bytes.

    Args:
        data: Bytes that are not plainly UTF-8.
    """
    guess = _checked(_guess(data[:HEAD_BYTES], data), data)
    if is_clean(data[:HEAD_BYTES], guess.candidate, at_end=True):
        return guess
    # The sample may hold a change: then the start or the end tells better alone.
    for part in (data[:_SHORT_BYTES], data[-len(data) // 2 :][-_SHORT_BYTES:]):
        alone = _checked(_guess(part, part), part)
        if is_clean(part, alone.candidate, at_end=True):
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
    narrow = rank(head if not head.isascii() else sample_of(data), (UTF8, *DOUBLE_BYTE, *SINGLE_BYTE))
    wide = rank(head, _wide_for(head))
    if wide[0].bits < rank(head, (narrow[0].candidate,))[0].bits:
        return rank(head, (wide[0].candidate, *(guess.candidate for guess in narrow[:3])))[0]
    return (
        narrow[0]
        if len(data) <= HEAD_BYTES
        else rank(sample_of(data), [guess.candidate for guess in narrow[:6]])[0]
    )


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
    if not high:
        return "\0" in text or _is_utf16_over_ascii(data)
    if high > _FEW_CHARACTERS:
        return False
    units = units_of(text)
    units = units[units >= 0x80]
    if (units >= _THREE_BYTE).any():
        return False
    guesses = rank(sample_of(data), (UTF8, *DOUBLE_BYTE))
    utf8 = next(guess for guess in guesses if guess.candidate is UTF8)
    return guesses[0].bits + _BITS_OVER_UTF8 < utf8.bits


def _is_utf16_over_ascii(data: bytes) -> bool:
    """Chinese in UTF-16 may be printable ASCII byte by byte."""
    head = data[:256]
    if len(data) % 2 or b"\n" in head or b" " in head:
        return False
    ascii_reading, *_ = rank(head, (UTF8,))
    best = rank(head, (UTF16_LE, UTF16_BE))[0]
    variety = len(set(head.decode(best.candidate.name, "replace")))
    return variety >= _LEAST_VARIETY and best.bits + _BITS_OVER_ASCII < ascii_reading.bits
