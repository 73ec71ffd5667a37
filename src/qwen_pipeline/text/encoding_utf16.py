"""UTF-16 that comes without a byte order mark, told by which byte order gives the characters people write."""

from qwen_pipeline.text.repair import COMMON_HAN

SAMPLE_BYTES = 4096
LEAST_SHARE = 0.5  # of a sample's characters that are frequent, before bytes count as UTF-16
LEAST_SHARE_OVER_ASCII = 0.6  # the same where the bytes would also be printable ASCII
_PUNCTUATION = frozenset("，。？！：；、（）“”‘’《》【】…—　·")


def find_utf16(data: bytes) -> tuple[str, float] | None:
    """The byte order of UTF-16 without a mark, and how sure it is; None where the bytes are something else.

    Args:
        data: A file's bytes. ASCII text as UTF-16 has a NUL in every pair; Chinese has none, and may
            even be printable ASCII byte by byte, but then its pairs are frequent ideographs.
    """
    sample = data[:SAMPLE_BYTES]
    if len(sample) < 4:
        return None
    shares = {name: _share_of_frequent(sample, name) for name in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda name: shares[name])
    least = LEAST_SHARE_OVER_ASCII if sample.isascii() and b"\0" not in sample else LEAST_SHARE
    return (best, shares[best]) if shares[best] >= least else None


def _share_of_frequent(sample: bytes, name: str) -> float:
    """Share of characters that are frequent in Chinese, Japanese or code; 0 for what nobody writes."""
    text = sample[: len(sample) // 2 * 2].decode(name, errors="replace")
    if any(
        not char.isprintable() and char not in "\n\r\t\ufeff\u3000\u200b\u200d\ue000" for char in text[:-1]
    ):
        return 0.0
    frequent = sum(
        char in COMMON_HAN or char in _PUNCTUATION or char in "\n\r\t" or " " <= char <= "~" for char in text
    )
    kana = sum("\u3041" <= char <= "\u30fe" for char in text) if not sample.isascii() else 0
    return (frequent + kana) / len(text)
