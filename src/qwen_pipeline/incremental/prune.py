"""Which old versions can go: none that a kept record or the latest tracked run refers to."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.content import files_below
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.publication import discard
from qwen_pipeline.incremental.record import Record

Key = tuple[str, str]  # dataset and version


@dataclass(frozen=True)
class Removal:
    """One version that can go.

    Attributes:
        dataset: Name in the catalog.
        version: Name of the version.
        folder: Where it is.
        size: Bytes of its files, whether or not another version shares them.
    """

    dataset: str
    version: str
    folder: Path
    size: int


@dataclass(frozen=True)
class PrunePlan:
    """What would go.

    Attributes:
        removals: Versions, by dataset, oldest first.
        records: Records that go with them.
        freed: Bytes that the disk gets back: files that a kept version shares by a hard link do not count.
    """

    removals: tuple[Removal, ...]
    records: tuple[Record, ...]
    freed: int


def plan_prune(
    ledger: Ledger, datasets: Mapping[str, Any], keep: int, tracked: Iterable[str] = ()
) -> PrunePlan:
    """Find what can go.

    Args:
        ledger: The project's records.
        datasets: The versioned datasets by name.
        keep: How many of the newest versions of each node stay, one or more.
        tracked: Ids of tracked runs whose versions stay.
    """
    records = [record for node in ledger.nodes() for record in ledger.records(node)]
    kept = _kept_records(ledger, records, keep, set(tracked))
    needed = {key for record in kept for key in (*_made(record), *record.read.items())}
    recorded = {key for record in records for key in _made(record)}
    removals = []
    for name, dataset in datasets.items():
        versions = sorted((path.name for path in _version_folders(dataset)), reverse=True)
        for place, version in enumerate(versions):
            stays = place == 0 or (name, version) in needed
            stays |= (name, version) not in recorded and place < keep
            if not stays:
                folder = dataset.version_folder(version)
                size = sum(stat.st_size for _, stat in files_below(folder))
                removals.append(Removal(name, version, folder, size))
    gone = tuple(record for record in records if record not in kept and _all_gone(record, removals))
    order = tuple(sorted(removals, key=lambda one: (one.dataset, one.version)))
    return PrunePlan(order, gone, freed_bytes(one.folder for one in removals))


def prune(plan: PrunePlan, ledger: Ledger) -> None:
    """Remove what was planned; only under the project's lock.

    A record goes before its files, and a version is renamed away before it is deleted, so that a kill
    leaves nothing that looks whole and is not.
    """
    for record in plan.records:
        ledger.remove(record)
    for removal in plan.removals:
        discard(removal.folder)


def freed_bytes(folders: Iterable[Path]) -> int:
    """Bytes that removing folders gives back: files whose every link is below them."""
    links: Counter[tuple[int, int]] = Counter()
    stats: dict[tuple[int, int], os.stat_result] = {}
    for folder in folders:
        for _, stat in files_below(folder):
            links[stat.st_dev, stat.st_ino] += 1
            stats[stat.st_dev, stat.st_ino] = stat
    return sum(stat.st_size for key, stat in stats.items() if links[key] >= stat.st_nlink)


def _kept_records(ledger: Ledger, records: list[Record], keep: int, tracked: set[str]) -> list[Record]:
    kept = [record for node in ledger.nodes() for record in ledger.records(node)[:keep]]
    kept += [one for one in records if one.mlflow_run_id in tracked and one not in kept]
    makers = {key: record for record in records for key in _made(record)}
    for record in kept:  # grows while it is walked: what a kept record read stays, and so on
        for key in record.read.items():
            if (maker := makers.get(key)) is not None and maker not in kept:
                kept.append(maker)
    return kept


def _made(record: Record) -> list[Key]:
    return [(name, output.version) for name, output in record.outputs.items()]


def _all_gone(record: Record, removals: list[Removal]) -> bool:
    gone = {(one.dataset, one.version) for one in removals}
    return all(key in gone for key in _made(record))


def _version_folders(dataset: Any) -> list[Path]:
    folder = dataset.versions_folder
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
