"""One record a node: what its result depended on, and which versions it made. Written last."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """What was true when a node ran.

    Attributes:
        node: The node's name.
        depends: ``code``, ``parameters``, ``inputs`` and ``libraries``, each by name.
        outputs: By dataset name its ``version`` and content ``digest``.
        finished: When it ended, ISO time.
        seconds: How long it took.
    """

    node: str
    depends: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    finished: str = ""
    seconds: float = 0.0


class Ledger:
    """The records of a project, one file a node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, node: str) -> Record | None:
        """The last record of a node; a damaged one counts as none."""
        try:
            return Record(**json.loads((self._folder / f"{node}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Replace a node's record in one step."""
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{record.node}.json"
        partial = target.with_suffix(f".{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(asdict(record), stream, ensure_ascii=False, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)


def reason_to_run(
    record: Record | None, depends: dict[str, dict[str, Any]], missing: list[str]
) -> str | None:
    """Why a node must run, in words; ``None`` when it is current.

    Args:
        record: Its last record.
        depends: What it depends on now.
        missing: Outputs whose recorded version is not there any more.
    """
    if record is None:
        return "it has not run yet"
    if missing:
        return f"output {missing[0]} is missing"
    for kind, word in (
        ("parameters", ""),
        ("inputs", "input "),
        ("code", "code of "),
        ("libraries", "library "),
    ):
        before, now = record.depends.get(kind, {}), depends[kind]
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                values = (
                    f" {before.get(name)!r} → {now.get(name)!r}"
                    if kind in ("parameters", "libraries")
                    else " changed"
                )
                return f"{word}{name}{values}"
    return None
