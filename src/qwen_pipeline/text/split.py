"""A row's split: as the user gave it, or from the hash of its own content, so that new rows move none."""

import hashlib
from collections.abc import Iterable

SPLITS = TRAIN, VALIDATION, TEST = "train", "validation", "test"
HELDOUT_ORDER = (TEST, VALIDATION, TRAIN)


def given_split(source_file: str) -> str | None:
    """The split that the user gave by putting the file under ``validation/`` or ``test/``.

    Args:
        source_file: Posix path relative to the data directory.
    """
    folder, _, rest = source_file.partition("/")
    return folder if rest and folder in (VALIDATION, TEST) else None


def content_key(messages: Iterable[tuple[str, str]]) -> bytes:
    """A digest of 16 bytes of what is said; white space counts as one space and edges not at all."""
    digest = hashlib.blake2b(digest_size=16)
    for role, content in messages:
        digest.update(f"{role}\x1f{_single_spaced(content)}\x1e".encode("utf-8", "surrogatepass"))
    return digest.digest()


def _single_spaced(text: str) -> str:
    """The text with one space for each run of white space; printable text has no white space but spaces."""
    flat = text.replace("\n", " ")
    if flat.isprintable() and "  " not in flat and flat[:1] != " " and flat[-1:] != " ":
        return flat
    return " ".join(text.split())


def hash_split(key: bytes, validation_fraction: float, test_fraction: float) -> str:
    """The split of a row whose content has the digest ``key``.

    Args:
        key: What ``content_key`` gives.
        validation_fraction: Share of rows for validation, 0 to 1.
        test_fraction: Share of rows for test, 0 to 1.
    """
    place = int.from_bytes(key[:8], "big") / 2**64
    if place < test_fraction:
        return TEST
    return VALIDATION if place < test_fraction + validation_fraction else TRAIN
