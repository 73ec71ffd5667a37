"""Digests of files, remembered by size, times and inode so that an unchanged file is not read twice.

XXH3-128 instead of SHA-256: the digests guard against change and damage, not against an attacker, and
hashing must keep up with files in the page cache (docs/decisions/005).
"""

import json
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import xxhash

from qwen_pipeline.incremental.durable import write_json
from qwen_pipeline.incremental.workspace import ledger_folder

BLOCK_BYTES = 1 << 20
FINE_TICK_NS = 20_000_000  # a change within the clock's tick of the last one may keep the time
COARSE_TICK_NS = 2_000_000_000  # of file systems that store whole seconds
Stat = tuple[int, int, int, int]  # size, modification time, change time (both ns), inode


def digest_bytes(data: bytes) -> str:
    """XXH3-128 of ``data`` in hexadecimal."""
    return xxhash.xxh3_128_hexdigest(data)


def digest_file(path: Path) -> str:
    """XXH3-128 of a file's bytes; memory stays at one block."""
    digest = xxhash.xxh3_128()
    block = bytearray(BLOCK_BYTES)
    view = memoryview(block)
    with path.open("rb", buffering=0) as stream:
        while read := stream.readinto(block):
            digest.update(view[:read])
    return digest.hexdigest()


def files_below(
    path: Path, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder as posix path relative to it, sorted, with what ``stat`` says of it.

    Args:
        path: The folder; links in it are followed, but not back to a folder that they are in.
        above: Device and inode of the folders that this one is in.
    """
    stat = path.stat()
    inside = above | {(stat.st_dev, stat.st_ino)}
    if len(inside) == len(above):
        return
    for entry in sorted(os.scandir(path), key=lambda one: one.name):
        if entry.is_symlink() and not Path(entry.path).exists():  # it leads nowhere, or to itself
            continue
        if entry.is_dir():
            found = files_below(Path(entry.path), inside)
            yield from ((f"{entry.name}/{name}", stat) for name, stat in found)
        elif entry.is_file():
            yield entry.name, entry.stat()


class FileDigests:
    """Digests of files by path, kept in one JSON file.

    A digest is taken without reading only if size, times and inode are those of the last reading, and
    the file was older than the clock's tick when it was read.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, list[object]] = _read(store)
        self._dirty = False

    def of(self, path: Path, stat: os.stat_result | None = None) -> str:
        """The digest of a file's content.

        Args:
            path: The file.
            stat: What ``stat`` says of it, where the caller has asked already.

        Raises:
            OSError: The file cannot be read.
        """
        found = _key(stat or path.stat())
        known = self._known.get(str(path))
        if known and tuple(known[:4]) == found:
            return str(known[4])
        started = time.time_ns()
        digest = digest_file(path)
        if _settled(found, started):
            self._known[str(path)] = [*found, digest]
            self._dirty = True
        return digest

    def save(self) -> None:
        """Write what was learned, of files that are still there; a project that cannot be written is left as it is."""
        if not self._dirty:
            return
        self._known = {path: known for path, known in self._known.items() if Path(path).exists()}
        try:
            write_json(self._store, self._known)
        except OSError:
            return
        self._dirty = False


def file_digests() -> FileDigests:
    """The digests of this project."""
    return _opened(ledger_folder() / "digests.json")


@cache
def _opened(store: Path) -> FileDigests:
    return FileDigests(store)


def _read(store: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(store.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _key(stat: os.stat_result) -> Stat:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _settled(found: Stat, now_ns: int) -> bool:
    newest = max(found[1], found[2])
    tick = COARSE_TICK_NS if newest % 1_000_000_000 == 0 else FINE_TICK_NS
    return now_ns - newest > tick
