"""What each place in some bytes costs, and how many bytes it takes, if a character of an encoding starts there."""

from functools import cache

import numpy as np
import numpy.typing as npt

from qwen_pipeline.text.encoding_candidates import (
    DOUBLE_BYTE,
    GB18030,
    UTF8,
    UTF16_BE,
    UTF16_LE,
    WIDE,
    Candidate,
)
from qwen_pipeline.text.language_costs import (
    CHINESE_JAPANESE_KOREAN,
    cheapest_costs,
    language_names,
    units_of,
)

BAD_BYTES = 140  # quarter bits for bytes that are no character
_HALF_OF_FOUR_BYTES = 30  # a lead byte and a digit: half a character of GB18030
_EMOJI, _RARE_PLANE = 44, 92
_TWO_BYTES = 16  # more for two bytes of UTF-8: they are of languages that seldom stand beside Chinese
_SECOND = range(0x40, 0xFF)
Places = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def places_of(data: bytes, candidate: Candidate) -> Places:
    """Costs in quarter bits and lengths in bytes, both of shape [bytes].

    Args:
        data: The bytes.
        candidate: The encoding.
    """
    raw = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.int32)
    if candidate is UTF8:
        return _utf8_places(raw)
    if candidate in WIDE:
        return _wide_places(raw, candidate)
    if candidate in DOUBLE_BYTE:
        return _double_places(raw, candidate)
    return _single_costs(candidate)[raw[:-3]], np.ones(len(data), np.uint8)


def _utf8_places(raw: npt.NDArray[np.int32]) -> Places:
    first, second, third, fourth = raw[:-3], raw[1:-2], raw[2:-1], raw[3:]
    goes_on = [(byte & 0xC0) == 0x80 for byte in (second, third, fourth)]
    two = (first >= 0xC2) & (first < 0xE0) & goes_on[0]
    half = (first >= 0xE0) & (first < 0xF0) & goes_on[0]
    half &= ~((first == 0xE0) & (second < 0xA0)) & ~((first == 0xED) & (second > 0x9F))
    three = half & goes_on[1]
    astral = (first >= 0xF0) & (first < 0xF5) & goes_on[0]
    astral &= ~((first == 0xF0) & (second < 0x90)) & ~((first == 0xF4) & (second > 0x8F))
    four = astral & goes_on[1] & goes_on[2]
    table = cheapest_costs(language_names())
    costs = np.full(len(first), BAD_BYTES, np.uint8)
    costs[first < 0x80] = table[first[first < 0x80]]
    costs[two] = table[(first[two] & 0x1F) << 6 | second[two] & 0x3F] + _TWO_BYTES
    costs[three] = table[(first[three] & 0x0F) << 12 | (second[three] & 0x3F) << 6 | third[three] & 0x3F]
    costs[four] = np.where((first[four] == 0xF0) & (second[four] == 0x9F), _EMOJI, _RARE_PLANE)
    lengths = np.ones(len(first), np.uint8)
    lengths[two | half | astral] = 2  # a cut character is one fault, however many bytes are left of it
    lengths[three | (astral & goes_on[1])] = 3
    lengths[four] = 4
    return costs, lengths


def _wide_places(raw: npt.NDArray[np.int32], candidate: Candidate) -> Places:
    first, second = raw[:-3], raw[1:-2]
    table = cheapest_costs(candidate.usual_languages)
    units = first | second << 8 if candidate is UTF16_LE else first << 8 | second
    costs = table[units]
    costs[-1:] = BAD_BYTES
    lengths = np.full(len(first), 2, np.uint8)
    lengths[-1:] = 1
    upper = first if candidate is UTF16_BE else second
    high, low = upper & 0xFC == 0xD8, upper & 0xFC == 0xDC
    costs[high | low] = BAD_BYTES
    pairs = np.flatnonzero(high[:-2] & low[2:])
    costs[pairs] = np.where(units[pairs] >> 2 == 0xD83C >> 2, _EMOJI, _RARE_PLANE)
    lengths[pairs] = 4
    return costs, lengths


def _double_places(raw: npt.NDArray[np.int32], candidate: Candidate) -> Places:
    first, second = raw[:-3], raw[1:-2]
    pairs = _pair_costs(candidate)
    costs = pairs[first << 8 | second]
    lengths = np.where(costs < BAD_BYTES, 2, 1).astype(np.uint8)
    single = np.array([byte not in candidate.lead for byte in range(256)])[first]
    costs[single] = _single_costs(candidate)[first[single]]
    lengths[single] = 1
    if len(costs) and not single[-1]:
        costs[-1], lengths[-1] = BAD_BYTES, 1
    return costs, lengths


@cache
def _pair_costs(candidate: Candidate) -> npt.NDArray[np.uint8]:
    """The cost of each pair of bytes, first byte times 256 plus second; ``BAD_BYTES`` where it is none."""
    costs = np.full(65536, BAD_BYTES, np.uint8)
    table = cheapest_costs(candidate.usual_languages)
    widest = candidate.wider[-1] if candidate is not GB18030 else candidate.name
    leads = np.array(sorted(candidate.lead), np.int32)
    places = (leads[:, None] << 8 | np.array(_SECOND, np.int32)).ravel()
    lines = np.stack([places >> 8, places & 0xFF, np.full_like(places, 0x0A)], axis=1).astype(np.uint8)
    units = units_of(lines.tobytes().decode(widest, "replace").replace("\ufffd", "\ufffd?"))
    ends = np.flatnonzero(units == 0x0A)
    sizes = np.diff(ends, prepend=-1) - 1
    is_one = (sizes == 1) & (units[ends - 1] >= 0x80)
    costs[places[is_one]] = np.minimum(table[units[ends - 1]][is_one], BAD_BYTES - 1)
    is_astral = (sizes == 2) & (units[ends - 2] & 0xFC00 == 0xD800)
    costs[places[is_astral]] = _RARE_PLANE
    for first in candidate.lead if candidate is GB18030 else ():
        costs[first << 8 | 0x30 : first << 8 | 0x3A] = _HALF_OF_FOUR_BYTES
    return costs


@cache
def _single_costs(candidate: Candidate) -> npt.NDArray[np.uint8]:
    costs = np.full(256, BAD_BYTES, np.uint8)
    table = cheapest_costs(candidate.usual_languages or CHINESE_JAPANESE_KOREAN)
    for byte in range(256):
        text = bytes((byte,)).decode(candidate.name, "ignore")
        if text:
            costs[byte] = min(int(table[ord(text)]), BAD_BYTES)
    return costs
