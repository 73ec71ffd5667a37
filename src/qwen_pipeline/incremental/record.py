"""One record a version: what its making depended on, and what was made."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = ("parameters", "inputs", "code", "libraries")


@dataclass(frozen=True)
class Depends:
    """What a node's result depends on, each by name.

    Attributes:
        parameters: Values as plain data, by dotted name; run-time fields are left out.
        inputs: Content digests, by dataset or by ``dataset/part``.
        code: Digests of source files and package data, by path in the package.
        libraries: Installed versions.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of it."""
        plain = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(plain.encode()).hexdigest()


@dataclass(frozen=True)
class Output:
    """One output of a version: the name of the version, and the content's digest without volatile parts."""

    version: str
    digest: str


@dataclass(frozen=True)
class Record:
    """What was true when a version was made.

    Attributes:
        node: The node's name.
        version: Name of the version; records of a node sort by it.
        depends: What the result depended on.
        outputs: What was made, by dataset.
        folders: The versions' folders, relative to the project, by dataset.
        read: Versions of the inputs that were read, by dataset.
        finished: When the node ended, ISO time in UTC.
        seconds: How long it took, earlier interrupted attempts included.
        mlflow_run_id: The tracked run that the outputs belong to.
        taken_back_from: The version whose files were linked instead of running the node.
        accepted: Fingerprints that the user accepted as equal, oldest first.
    """

    node: str
    version: str
    depends: Depends
    outputs: dict[str, Output] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    finished: str = ""
    seconds: float = 0.0
    mlflow_run_id: str | None = None
    taken_back_from: str | None = None
    accepted: tuple[str, ...] = ()

    def answers_to(self, fingerprint: str) -> bool:
        """Whether the outputs are what a run with this fingerprint would make."""
        return fingerprint == self.depends.fingerprint or fingerprint in self.accepted


def to_plain(record: Record) -> dict[str, Any]:
    """The record as JSON-able data."""
    return asdict(record)


def from_plain(content: Any) -> Record | None:
    """A record from JSON data; ``None`` where it is damaged or of another layout."""
    try:
        values = dict(content)
        values["depends"] = Depends(**values["depends"])
        values["outputs"] = {name: Output(**output) for name, output in values["outputs"].items()}
        values["accepted"] = tuple(values.get("accepted", ()))
        return Record(**values)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
