"""What a node depends on now: read from its code, its parameters and its inputs."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from qwen_pipeline.errors import VersionError
from qwen_pipeline.incremental.code import CodeReader
from qwen_pipeline.incremental.content import digest_bytes, file_digests, files_below
from qwen_pipeline.incremental.libraries import library_versions
from qwen_pipeline.incremental.record import Depends
from qwen_pipeline.params.fields import run_time_fields

MISSING = "missing"
CHANGED = "changed while it was read"
WIRING = "the node's place in the pipeline"


class DependencyReader:
    """Reads what nodes depend on; code is read once, so that an edit during a run is noticed by the next.

    Attributes:
        assumed: Digests of outputs that a plan foresees, by dataset.
    """

    def __init__(self, catalog: Any, code: CodeReader) -> None:
        self.catalog = catalog
        self.assumed: dict[str, str] = {}
        self._reader = code
        self._code: dict[str, tuple[dict[str, str], dict[str, str]]] = {}

    def read_code(self, node: Any) -> tuple[dict[str, str], dict[str, str]]:
        """Digests of a node's code, and versions of the libraries it imports."""
        if node.name not in self._code:
            digests, imported = self._reader.read(node.func)
            wiring = repr(
                (node.func.__qualname__ if hasattr(node.func, "__qualname__") else "", node._inputs)
            )
            digests[WIRING] = hashlib.sha256(wiring.encode()).hexdigest()[:32]
            self._code[node.name] = digests, library_versions(imported)
        return self._code[node.name]

    def read(self, node: Any) -> Depends:
        """Everything that a node depends on now."""
        parameters: dict[str, Any] = {}
        inputs: dict[str, str] = {}
        for name in dict.fromkeys(node.inputs):
            if name == "parameters" or name.startswith("params:"):
                prefix = name.partition(":")[2]
                parameters |= flat_values(self.catalog.load(name), prefix)
            elif name in self.assumed:
                inputs[name] = self.assumed[name]
            else:
                inputs |= self._inputs(name)
        code, libraries = self.read_code(node)
        return Depends(parameters, inputs, code, libraries)

    def read_again(self, node: Any, depends: Depends) -> Depends:
        """What a node that has just run depends on: a file that changed meanwhile may have been read before or after.

        Such a file answers to no content, so that the next run reads it again whatever it holds then.
        """
        files = [
            name
            for name in dict.fromkeys(node.inputs)
            if getattr(self.catalog[name], "edited_by_hand", False)
        ]
        found: dict[str, str] = {}
        for name in files:
            found |= self._inputs(name)
        before = {part: digest for part, digest in depends.inputs.items() if part.partition("/")[0] in files}
        changed = {part for part in found.keys() | before.keys() if found.get(part) != before.get(part)}
        return replace(depends, inputs={**depends.inputs, **dict.fromkeys(changed, CHANGED)})

    def label(self, name: str) -> str:
        """A dependency as people know it: a file, one that is gone too, by its path."""
        dataset, _, part = name.partition("/")
        told = (
            getattr(self.catalog[dataset], "part_label", None) if part and dataset in self.catalog else None
        )
        return str(told(part)) if told else name

    def _inputs(self, name: str) -> dict[str, str]:
        dataset = self.catalog[name]
        if hasattr(dataset, "fingerprint"):
            parts: Mapping[str, str] = dataset.fingerprint()
            return {f"{name}/{part}": digest for part, digest in parts.items()}
        return {name: digest_of_dataset(dataset)}


def require_inputs(names: Iterable[str], catalog: Any) -> None:
    """Ask the inputs of a whole run whether they are there, before its first node works.

    A base model is read by a later stage only; without this its absence is told when the stages before are done.

    Args:
        names: What the run reads and no node of it makes.
        catalog: Holds them; a dataset that can tell has a method ``require``.
    """
    for name in sorted(names):
        if not name.startswith("params:") and hasattr(dataset := catalog[name], "require"):
            dataset.require()


def require_versions(names: Iterable[str], catalog: Any) -> None:
    """Refuse a version that the user asks to load and that is not there, before the first node works.

    Args:
        names: Datasets of the run.
        catalog: Holds them.

    Raises:
        VersionError: With the versions that are there.
    """
    for name in sorted(names):
        dataset: Any = None if name.startswith("params:") else catalog[name]
        version = dataset.load_version() if hasattr(dataset, "newest_version") else None
        if version is None or dataset.exists():
            continue
        there = dataset.versions()
        told = (
            f"there are {', '.join(there[:5])}{' and older ones' if len(there) > 5 else ''}"
            if there
            else "none has been made"
        )
        raise VersionError(f"{name} has no version {version}; {told}.")


def digest_of_dataset(dataset: Any, version: str | None = None) -> str:
    """Content digest of what a dataset would load, or of one of its versions.

    A dataset of this project answers from its seal; any other file or folder is read (once, while it
    keeps size, times and inode).
    """
    if hasattr(dataset, "newest_version"):
        version = version or dataset.load_version()
        if version is None:
            return MISSING
        sealed: str | None = dataset.digest(version)
        return sealed or _digest_of_path(Path(dataset.version_folder(version)))
    if not hasattr(dataset, "_filepath"):
        return MISSING
    try:
        return _digest_of_path(Path(dataset._get_load_path()))
    except AttributeError:
        return _digest_of_path(Path(dataset._filepath))
    except Exception:  # Kedro raises its own error where there is no version yet
        return MISSING


def flat_values(value: Any, prefix: str) -> dict[str, Any]:
    """Parameters by dotted name, as plain data, run-time fields left out."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude=set(run_time_fields(type(value))))
    if not isinstance(value, Mapping):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat_values(item, f"{prefix}.{key}" if prefix else str(key))
    return found or {prefix: {}}


def _digest_of_path(path: Path) -> str:
    digests = file_digests()
    if path.is_file():
        return digests.of(path)
    if not path.is_dir():
        return MISSING
    found = [(name, digests.of(path / name, stat)) for name, stat in files_below(path)]
    return digest_bytes(repr(found).encode())
