"""Publish what a node made, or an older version once more, together with its record."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.depends import digest_of_dataset
from qwen_pipeline.incremental.durable import read_json
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.plan import Decision
from qwen_pipeline.incremental.publication import Publication, held_outputs, staged_beside
from qwen_pipeline.incremental.record import Output, Record
from qwen_pipeline.incremental.seal import read_seal

RUN_ID = "mlflow_run_id"


@dataclass(frozen=True)
class Made:
    """A node that has just run.

    Attributes:
        node: The node.
        decision: Why it ran, with what it depends on.
        read: Versions of its inputs that it read, by dataset.
        seconds: How long it took, earlier attempts included.
    """

    node: Any
    decision: Decision
    read: dict[str, str]
    seconds: float


def commit_outputs(made: Made, ledger: Ledger, catalog: Any, held: Publication, run_id: str | None) -> Record:
    """Publish what a node made; the record is the last act."""
    folders = _held_folders(made.node.outputs, catalog, held)
    outputs = {name: _output(catalog[name], folders.get(name)) for name in made.node.outputs}
    version = next((output.version for output in outputs.values() if output.version), "")
    record = Record(
        made.node.name,
        version or run_id or now(),
        made.decision.depends,
        outputs,
        read=made.read,
        finished=now(),
        seconds=round(made.seconds, 2),
        mlflow_run_id=_tracked_run(folders, made.read, ledger, catalog),
    )
    record = ledger.commit(record, folders)
    held.versions.clear()
    return record


def take_back(old: Record, decision: Decision, ledger: Ledger, catalog: Any) -> Record:
    """Publish an older version once more as the newest: its files are linked, nothing is computed."""
    outputs, folders = {}, {}
    with held_outputs() as held:
        for name, output in old.outputs.items():
            dataset = catalog[name]
            new = str(dataset.resolve_save_version())
            dataset.link_version(output.version, new)
            outputs[name] = Output(new, output.digest)
            folders[name] = dataset.version_folder(new)
            held.hold(folders[name])
        version = next(iter(outputs.values())).version
        record = replace(
            old, version=version, depends=decision.depends, outputs=outputs, taken_back_from=old.version
        )
        record = ledger.commit(record, folders)
        held.versions.clear()
    return record


def versions_read(names: Iterable[str], catalog: Any) -> dict[str, str]:
    """The versions that a node is about to read, by dataset."""
    found = {}
    for name in names:
        dataset = catalog[name]
        if hasattr(dataset, "newest_version") and (version := dataset.load_version()):
            found[name] = str(version)
    return found


def now() -> str:
    """The time as ISO text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _held_folders(names: Iterable[str], catalog: Any, held: Publication) -> dict[str, Path]:
    places = {folder.parent: folder for folder in held.versions}
    found = {}
    for name in names:
        place = getattr(catalog[name], "versions_folder", None)
        if place in places:
            found[name] = places[place]
    return found


def _output(dataset: Any, folder: Path | None) -> Output:
    if folder is None:
        return Output("", digest_of_dataset(dataset))
    seal = read_seal(staged_beside(folder))
    return Output(folder.name, seal.digest if seal else "")


def _tracked_run(folders: dict[str, Path], read: dict[str, str], ledger: Ledger, catalog: Any) -> str | None:
    """The tracked run of what was made: named in one of the outputs, else by the record of an input."""
    for name, folder in folders.items():
        path = staged_beside(folder) / catalog[name].versions_folder.name
        content = read_json(path) if path.suffix == ".json" else None
        if isinstance(content, dict) and content.get(RUN_ID):
            return str(content[RUN_ID])
    for node in ledger.nodes():
        for record in ledger.records(node):
            made = {name: output.version for name, output in record.outputs.items()}
            if record.mlflow_run_id and made.items() & read.items():
                return record.mlflow_run_id
    return None
