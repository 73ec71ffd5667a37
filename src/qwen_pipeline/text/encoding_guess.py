"""Which encoding a sample of bytes is in: every reading is priced, and the cheapest wins."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwen_pipeline.text.encoding_candidates import Candidate
from qwen_pipeline.text.language_costs import bits_of

SUREST = 0.999
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


def rank(sample: bytes, candidates: Sequence[Candidate]) -> list[Guess]:
    """The candidates, cheapest first, with confidences that sum to one at most.

    Args:
        sample: Bytes; a character cut off at their end counts for nothing.
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
    text = read_for_price(sample, candidate)
    bits = bits_of(text, candidate.language_names)
    total, language = min((bits[name] + extra, name) for name, extra in candidate.languages)
    return Guess(candidate, total + candidate.bits, language)


def read_for_price(sample: bytes, candidate: Candidate) -> str:
    """The sample's text in the narrowest form of the encoding that fits, else with U+FFFD for what does not."""
    for name in (candidate.name, *candidate.wider):
        try:
            return sample.decode(name)
        except UnicodeDecodeError as error:
            if is_cut_character(error):
                return sample[: error.start].decode(name)
    return sample.decode(candidate.wider[-1] if candidate.wider else candidate.name, "replace")


def is_cut_character(error: UnicodeDecodeError) -> bool:
    """Whether only the last character was cut off in the middle of its bytes."""
    at_end = error.start >= len(error.object) - 3
    return at_end and (
        "incomplete" in error.reason or "end of data" in error.reason or "truncated" in error.reason
    )
