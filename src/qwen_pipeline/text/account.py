"""The account of ingest and clean: what was found, kept, rejected and a duplicate, in each file and in total."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from qwen_pipeline.text.clean_table import CleanTables
from qwen_pipeline.text.read_files import FileAccount

_SUMMED = ("found", "kept", "duplicates_exact", "duplicates_near", "bytes")
_COUNTED = ("rejected", "encodings", "notes")
_SHOWN = 4


def ingest_account(accounts: Iterable[FileAccount]) -> dict[str, Any]:
    """The report of the ingest stage."""
    files = {account.name: account.as_dict() for account in accounts}
    return {"total": _total(files.values()), "files": files}


def data_account(ingested: Mapping[str, Any], tables: CleanTables) -> dict[str, Any]:
    """The report of both stages: found = kept + rejected + duplicates, for each file."""
    files = {}
    for name, before in ingested["files"].items():
        rejected = Counter(before["rejected"]) + tables.rejected.get(name, Counter())
        files[name] = {
            **before,
            "kept": tables.kept[name],
            "rejected": dict(sorted(rejected.items())),
            "duplicates_exact": tables.exact[name],
            "duplicates_near": tables.near[name],
        }
    splits = {split: tables.splits[split] for split in ("train", "validation", "test")}
    repairs = dict(sorted(tables.repairs.items()))
    return {"total": {**_total(files.values()), "splits": splits, "repairs": repairs}, "files": files}


def _total(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = dict.fromkeys(_SUMMED, 0)
    counters: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
    for file in files:
        for name in _SUMMED:
            total[name] += file.get(name, 0)
        for name in _COUNTED:
            counters[name].update(file.get(name, {}))
    return {**total, **{name: dict(sorted(counter.items())) for name, counter in counters.items()}}


def is_conserved(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the report accounts for every row that was found."""
    gone = sum(entry["rejected"].values()) + entry["duplicates_exact"] + entry["duplicates_near"]
    return bool(entry["found"] == entry["kept"] + gone)


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The report in at most ten lines for the terminal."""
    total = report["total"]
    splits = total["splits"]
    lines = [
        f"files       {len(report['files'])} ({total['bytes'] / 2**20:.1f} MiB)",
        f"found       {total['found']} rows",
        f"kept        {total['kept']} rows: "
        + ", ".join(f"{name} {count}" for name, count in splits.items()),
        f"rejected    {sum(total['rejected'].values())}{_ranked(total['rejected'])}",
        f"duplicates  {total['duplicates_exact']} exact, {total['duplicates_near']} near",
        f"encodings  {_ranked(total['encodings'])[1:] or ' none'}",
        f"repaired   {_ranked(total['repairs'])[1:] or ' nothing'}",
    ]
    empty = [name for name, file in report["files"].items() if not file["kept"]]
    if empty:
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        lines.append(f"nothing kept from {', '.join(empty[:_SHOWN])}{more}")
    return [*lines, "details     data_report, ingest_rejects, clean_rejects, clean_duplicates"]


def why_nothing(report: Mapping[str, Any]) -> str:
    """What was rejected and why, for the message when no example is left."""
    reasons = _ranked(report["total"]["rejected"]) or ": nothing was found"
    parts = []
    for name, file in list(report["files"].items())[:_SHOWN]:
        parts.append(f"{name}{_ranked(file['rejected'])}" if file["rejected"] else name)
    more = f" and {len(report['files']) - _SHOWN} more" if len(report["files"]) > _SHOWN else ""
    return f"rejected{reasons} ({'; '.join(parts)}{more})"


def _ranked(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]
    return ": " + ", ".join(f"{name} {count}" for name, count in ranked) if ranked else ""
