"""The seal of a version: what it held when it was made, so that damage is noticed before it is served.

A version is a folder with the data (a file or a folder) and ``.seal.json`` beside it. Seal and data are
renamed into place together.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.content import digest_bytes, digest_file, file_digests, files_below
from qwen_pipeline.incremental.durable import read_json

SEAL = ".seal.json"
ALWAYS_VOLATILE = ("timing", "mlflow_run_id")  # top-level keys of a JSON document that say when, not what


@dataclass(frozen=True)
class Seal:
    """What a version held.

    Attributes:
        digest: Of the content without its volatile parts; equal digests stop the wave of reruns.
        files: For each file, relative to the version's folder, its size, modification time (ns), inode
            and digest.
    """

    digest: str
    files: dict[str, tuple[int, int, int, str]]


def make_seal(folder: Path, volatile: Sequence[str] = ()) -> Seal:
    """Read a version that was just written.

    Args:
        folder: The version's folder.
        volatile: Keys of a JSON document, dotted, that do not count.
    """
    files = {
        name: (stat.st_size, stat.st_mtime_ns, stat.st_ino, digest_file(folder / name))
        for name, stat in files_below(folder)
        if name != SEAL
    }
    return Seal(_content_digest(folder, files, volatile), files)


def write_seal(folder: Path, seal: Seal) -> None:
    """Put the seal beside the data."""
    content = {"digest": seal.digest, "files": seal.files}
    (folder / SEAL).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def read_seal(folder: Path) -> Seal | None:
    """The seal of a version; ``None`` where there is none that can be read."""
    found = read_json(folder / SEAL)
    try:
        files = {
            name: (int(size), int(time), int(inode), str(digest))
            for name, (size, time, inode, digest) in found["files"].items()
        }
        return Seal(str(found["digest"]), files)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def damage_of(folder: Path, seal: Seal, verify: bool = False) -> str | None:
    """What is wrong with a version, in words; ``None`` where it is whole.

    Args:
        folder: The version's folder.
        seal: Its seal.
        verify: Read every byte; otherwise a file with its old size, time and inode counts as unchanged.
    """
    if not folder.is_dir():
        return "is missing"
    found = {name: stat for name, stat in files_below(folder) if name != SEAL}
    if gone := sorted(seal.files.keys() - found.keys()):
        return f"is damaged: {gone[0]} is missing"
    if strange := sorted(found.keys() - seal.files.keys()):
        return f"is damaged: {strange[0]} was added to it"
    for name, (size, time, inode, digest) in seal.files.items():
        stat = found[name]
        if stat.st_size != size:
            return f"is damaged: {name} has {stat.st_size:,} bytes of {size:,}"
        unchanged = (stat.st_mtime_ns, stat.st_ino) == (time, inode)
        if unchanged and not verify:
            continue
        now = digest_file(folder / name) if verify else file_digests().of(folder / name, stat)
        if now != digest:
            if unchanged:  # a new time, so that a run, which reads only what seems changed, sees it too
                os.utime(folder / name)
            return f"is damaged: {name} is not what was written"
    return None


def without_volatile(content: Any, volatile: Sequence[str]) -> Any:
    """A copy of a JSON value without the dotted keys in ``volatile``."""
    if not isinstance(content, dict):
        return content
    kept = {}
    for key, value in content.items():
        inner = [name.partition(".")[2] for name in volatile if name.startswith(f"{key}.")]
        if key not in volatile:
            kept[key] = without_volatile(value, inner) if inner else value
    return kept


def _content_digest(folder: Path, files: dict[str, Any], volatile: Sequence[str]) -> str:
    names = sorted(files)
    if len(names) == 1 and names[0].endswith(".json"):
        try:
            content = json.loads((folder / names[0]).read_bytes())
        except ValueError:
            pass
        else:
            kept = without_volatile(content, (*ALWAYS_VOLATILE, *volatile))
            return digest_bytes(json.dumps(kept, sort_keys=True).encode())
    return digest_bytes(json.dumps([[name, files[name][3]] for name in names]).encode())


def state_of(folder: Path) -> tuple[Any, ...]:
    """What changes when a file of a version is touched."""
    stats = ((name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for name, s in files_below(folder))
    return (str(folder), *stats) if folder.is_dir() else ()
