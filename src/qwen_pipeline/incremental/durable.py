"""Writing that survives a kill and a power cut: beside, to the disk, renamed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Windows flushes only what is open for writing; elsewhere a file that may only be read is flushed too.
FLUSHED_AS = "rb" if os.name == "posix" else "rb+"


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        with partial.open("w", encoding="utf-8", errors="surrogatepass") as stream:  # a path may be any bytes
            stream.write(json.dumps(content, ensure_ascii=False))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as failure:
        partial.unlink(missing_ok=True)
        failure.filename = failure.filename or str(path)  # a full disk is told without saying where
        raise
    flush_folder(path.parent)


def read_json(path: Path) -> Any:
    """The object in a JSON file; ``None`` where the file is missing or damaged, or holds something else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def flush_tree(path: Path) -> None:
    """Make sure that ``path`` with every file and folder below it is on the disk before a rename names it."""
    if path.is_file():
        _flush_file(path)
    for folder, _, files in os.walk(path):
        for name in files:
            _flush_file(Path(folder, name))
        flush_folder(Path(folder))


def _flush_file(path: Path) -> None:
    with path.open(FLUSHED_AS) as stream:
        os.fsync(stream.fileno())


def flush_folder(path: Path) -> None:
    """Make the names inside ``path`` durable; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def existing_parent(path: Path) -> Path:
    """The path itself if it exists, else its nearest parent that does: both are on one disk."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def copy_folder(source: Path, target: Path, copy: Callable[[Path, Path], Any] = shutil.copyfile) -> None:
    """Copy what is in a folder, without permissions and times: exFAT and shared folders let nobody set them.

    Args:
        source: The folder.
        target: What is not there yet.
        copy: Gives a file its second place.
    """
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir()
        else:
            copy(path, place)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk has no hard links or is another one."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
