"""Which encoding a sample of bytes is in: every reading is priced, and the cheapest wins.

The sample is the bytes that tell most: those around bytes above ASCII.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import RARE_FORMS, SINGLE_BYTE, Candidate
from qwen_pipeline.text.language_costs import ALPHABET_OF_ITS_OWN, bits_of

SUREST = 0.999
SAMPLE_BYTES = 4096
ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
_BEFORE, _AFTER = 24, 600  # bytes of a line that are taken on both sides of its first byte above ASCII
_BITS_OF_A_CUT_BYTE = 8.0
_BITS_OF_ONLY_A_CUT_BYTE = (
    8.0  # more where nothing else is above ASCII, so that nothing speaks for the encoding
)
_BITS_OF_ASCII_AROUND = 6.0  # for a few letters of another alphabet in text of ASCII letters
_MOSTLY = 2
_ASCII_LETTERS = bytes([*range(0x41, 0x5B), *range(0x61, 0x7B)])
_HIGH = bytes(range(0x80, 0x100))
_BITS_PER_DOUBLING = 4.0  # neighbouring characters depend on each other, so bits count less than they say


@dataclass(frozen=True, slots=True)
class Guess:
    """An encoding with what the sample costs in it.

    Attributes:
        candidate: The encoding.
        bits: The price of the reading, in bits.
        language: The language in which it is cheapest.
        confidence: 0 to 1, against the other candidates.
    """

    candidate: Candidate
    bits: float
    language: str
    confidence: float = 1.0


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
    while held < size and (found := ABOVE_ASCII.search(data, at)):
        first = found.start()
        start = max(at, first - _BEFORE, data.rfind(b"\n", at, first) + 1)
        stop = first + 1 + _AFTER
        end = data.find(b"\n", first + 1, stop + 1) + 1 or min(stop, len(data))
        parts.append(data[start:end])
        held += end - start
        at = end
    return b"".join(parts) or data[:size]


def rank(sample: bytes, candidates: Sequence[Candidate]) -> list[Guess]:
    """The candidates, cheapest first, with confidences that sum to one at most.

    Args:
        sample: Bytes; a character cut off at their end counts for little.
        candidates: What to try.
    """
    guesses = sorted((_price(sample, candidate) for candidate in candidates), key=lambda guess: guess.bits)
    least = guesses[0].bits
    weights = [2.0 ** (max(least - guess.bits, -400) / _BITS_PER_DOUBLING) for guess in guesses]
    total = sum(weights)
    return [
        Guess(guess.candidate, guess.bits, guess.language, min(weight / total, SUREST))
        for guess, weight in zip(guesses, weights, strict=True)
    ]


def _price(sample: bytes, candidate: Candidate) -> Guess:
    text, cut, name = read_for_price(sample, candidate)
    bits = bits_of(text, candidate.language_names)
    total, language = min((bits[name] + extra, name) for name, extra in candidate.languages)
    total += candidate.bits + RARE_FORMS.get(name, 0.0) + _BITS_OF_A_CUT_BYTE * cut
    if cut and text.isascii():
        total += _BITS_OF_ONLY_A_CUT_BYTE
    if candidate in SINGLE_BYTE and language in ALPHABET_OF_ITS_OWN and _is_mostly_ascii(sample):
        total += _BITS_OF_ASCII_AROUND
    return Guess(candidate, total, language)


def _is_mostly_ascii(sample: bytes) -> bool:
    ascii_letters = len(sample) - len(sample.translate(None, _ASCII_LETTERS))
    return ascii_letters > _MOSTLY * (len(sample) - len(sample.translate(None, _HIGH)))


def read_for_price(sample: bytes, candidate: Candidate) -> tuple[str, int, str]:
    """A sample's text, how many bytes of a last character were cut off and left out, and the form of the encoding.

    The text is in the narrowest form of the encoding that fits; what fits none is U+FFFD.
    """
    for name in (candidate.name, *candidate.wider):
        try:
            return sample.decode(name), 0, name
        except UnicodeDecodeError as error:
            if is_cut_character(error):
                return sample[: error.start].decode(name), len(sample) - error.start, name
    return sample.decode(name, "replace"), 0, name


def is_cut_character(error: UnicodeDecodeError) -> bool:
    """Whether only the last character was cut off in the middle of its bytes."""
    at_end = error.start >= len(error.object) - 3
    return at_end and (
        "incomplete" in error.reason or "end of data" in error.reason or "truncated" in error.reason
    )
