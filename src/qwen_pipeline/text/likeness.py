"""How alike two texts are, by their character n-grams; and sketches by which alike rows meet.

Case, width, white space and punctuation do not count. A row's sketch mixes the MinHash values of its question
with those of its answer in every band, so that two rows meet only where both are alike: rows that share an
answer but ask another question (paraphrases!) meet with probability J_q^3 per band, not 1.
"""

import re

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

N_GRAM = 3
BANDS = 32
VALUES_PER_BAND = 3  # of the question, and as many of the answer
_PERMUTATIONS = BANDS * VALUES_PER_BAND
_TEXTS_AT_ONCE = (
    256  # even: their values pass through Python's integers, few enough to stay in the processor's cache
)
_SEED = 20_240_601
_DIGITS = re.compile(r"\d+")
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_BAND_MULTIPLIERS = np.array(
    [pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, 2 * VALUES_PER_BAND + 1)], dtype=np.uint64
).reshape(2, VALUES_PER_BAND)
Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]


def sketch_rows(codes: Codes, lengths: NDArray[np.int64]) -> Hashes:
    """The bands of each row.

    Args:
        codes: Code points of plain texts, one text after another: a row's question, its answer, the next row's.
        lengths: Their lengths, shape [2 * rows].

    Returns:
        Band hashes, shape [rows, BANDS].
    """
    places = np.concatenate([[0], np.cumsum(lengths)])
    bands = np.empty((len(lengths) // 2, BANDS), dtype=np.uint64)
    for first in range(0, len(lengths), _TEXTS_AT_ONCE):
        few = lengths[first : first + _TEXTS_AT_ONCE]
        some = codes[places[first] : places[first + len(few)]]
        bands[first // 2 : (first + len(few)) // 2] = _sketch_few(some, few)
    return bands


def _sketch_few(codes: Codes, lengths: NDArray[np.int64]) -> Hashes:
    grams, starts = _all_grams(codes, lengths)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams, starts, _PERMUTATIONS, _SEED)
    values = np.asarray(matrix.to_rows(), dtype=np.uint64).reshape(-1, 2, BANDS, VALUES_PER_BAND)
    with np.errstate(over="ignore"):
        hashes = np.einsum("rtbv,tv->rb", values, _BAND_MULTIPLIERS)
        hashes ^= hashes >> np.uint64(31)
        hashes *= _MULTIPLIERS[1]
    return np.asarray(hashes, dtype=np.uint64)


def _all_grams(codes: Codes, lengths: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.uint64]]:
    """Hashes of all texts' n-grams in a row, and where each text's begin; shorter texts are padded to one n-gram."""
    ends = np.cumsum(lengths)
    missing = np.maximum(N_GRAM - lengths, 0)
    if missing.any():
        codes = np.insert(codes, np.repeat(ends, missing), 0)
        lengths = lengths + missing
        ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=bool)
    inside[ends - 1] = inside[ends - 2] = False
    starts = np.concatenate([[0], np.cumsum(lengths - (N_GRAM - 1))]).astype(np.uint64)
    return np.ascontiguousarray(_hash_grams(codes)[inside[: len(codes) - 2]]), starts


def _hash_grams(codes: Codes) -> Hashes:
    """A hash of every n-gram, shape [len(codes) - 2]."""
    wide = codes.astype(np.uint64)
    hashes: Hashes = wide[:-2] * _MULTIPLIERS[0]
    hashes += wide[1:-1] * _MULTIPLIERS[1]
    hashes += wide[2:] * _MULTIPLIERS[2]
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MULTIPLIERS[0]
    return hashes


def n_grams(codes: Codes) -> Hashes:
    """The n-grams of a plain text, each once, as sorted 64-bit hashes."""
    if len(codes) < N_GRAM:
        codes = np.pad(codes, (0, N_GRAM - len(codes)))
    hashes = np.sort(_hash_grams(codes))
    first: Hashes = hashes[np.append(True, hashes[1:] != hashes[:-1])]
    return first


def jaccard(one: Hashes, other: Hashes) -> float:
    """The share of common n-grams, 0 to 1."""
    both = np.sort(np.concatenate([one, other]), kind="stable")
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (len(both) - common)


def numbers_in(codes: Codes) -> list[str]:
    """The numbers that a plain text names, in order."""
    return _DIGITS.findall(codes.astype("<u4", copy=False).tobytes().decode("utf-32-le", "replace"))
