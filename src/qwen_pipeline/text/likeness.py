"""How alike two texts are, by their character n-grams; and sketches by which alike rows meet.

Case, width, white space and punctuation do not count. A row's sketch mixes the MinHash values of its question
with those of its answer in every band, so that two rows meet only where both are alike: rows that share an
answer but ask another question (paraphrases!) meet with probability J_q^3 per band, not 1.
"""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

N_GRAM = 3
BANDS = 32
VALUES_PER_BAND = 3  # of the question, and as many of the answer
_PERMUTATIONS = BANDS * VALUES_PER_BAND
_SEED = 20_240_601
_LONGEST = 20_000
_NOT_WORD = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_BAND_MULTIPLIERS = np.array(
    [pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, 2 * VALUES_PER_BAND + 1)], dtype=np.uint64
)


def plain(text: str) -> str:
    """What counts of a text: letters, digits and ideographs, in one case and width; nothing else left, all of it."""
    text = text[:_LONGEST]
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub("", folded) or folded


def sketch_rows(questions: list[str], answers: list[str]) -> NDArray[np.uint64]:
    """The bands of each row.

    Args:
        questions: Plain texts.
        answers: Plain texts, as many.

    Returns:
        Band hashes, shape [rows, BANDS].
    """
    mixed = np.concatenate(
        [_min_hashes(texts).reshape(len(texts), BANDS, VALUES_PER_BAND) for texts in (questions, answers)],
        axis=2,
    )
    with np.errstate(over="ignore"):
        hashes = (mixed * _BAND_MULTIPLIERS).sum(axis=2, dtype=np.uint64)
        hashes ^= hashes >> np.uint64(31)
        hashes *= _MULTIPLIERS[1]
    return np.asarray(hashes, dtype=np.uint64)


def _min_hashes(texts: list[str]) -> NDArray[np.uint64]:
    """MinHash values of the texts' n-grams, shape [texts, permutations]."""
    grams, starts = _grams(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams, starts, _PERMUTATIONS, _SEED)
    return np.asarray(matrix.to_rows(), dtype=np.uint64)


def _grams(texts: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hashes of all n-grams in a row, and where each text's begin; shorter texts are padded to one n-gram."""
    padded = [text + "\0" * (N_GRAM - len(text)) for text in texts]
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )
    with np.errstate(over="ignore"):
        hashes = codes[:-2] * _MULTIPLIERS[0] + codes[1:-1] * _MULTIPLIERS[1] + codes[2:] * _MULTIPLIERS[2]
        hashes ^= hashes >> np.uint64(29)
        hashes *= _MULTIPLIERS[0]
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=bool)
    inside[ends - 1] = inside[ends - 2] = False
    starts = np.concatenate([[0], np.cumsum(lengths - (N_GRAM - 1))]).astype(np.uint64)
    return np.ascontiguousarray(hashes[inside[: len(hashes)]]), starts


def n_grams(text: str) -> frozenset[str]:
    """The n-grams of a plain text."""
    if len(text) <= N_GRAM:
        return frozenset((text,))
    return frozenset(text[at : at + N_GRAM] for at in range(len(text) - N_GRAM + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of common n-grams, 0 to 1."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def same_numbers(one: str, other: str) -> bool:
    """Whether two questions name the same numbers: a task with other figures is another task."""
    return _DIGITS.findall(one) == _DIGITS.findall(other)
