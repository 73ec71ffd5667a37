"""The account of ingest and clean: what was found, kept, rejected and a duplicate, in each file and in total."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qwen_pipeline.text.read_files import FileAccount
from qwen_pipeline.text.split import SPLITS

if TYPE_CHECKING:  # else cleaning would be part of what ingest depends on
    from qwen_pipeline.text.clean_table import CleanTables

_SUMMED = ("found", "kept", "duplicates_exact", "duplicates_near", "bytes")
_COUNTED = ("rejected", "encodings", "notes")
_SHOWN = 4
_WIDTH = 62  # what the log's time and level leave of 80 columns
_LONGEST_NAME = 30


def ingest_account(accounts: Iterable[FileAccount]) -> dict[str, Any]:
    """The report of the ingest stage."""
    files = {account.name: account.as_dict() for account in accounts}
    return {"total": _total(files.values()), "files": files}


def data_account(ingested: Mapping[str, Any], tables: "CleanTables") -> dict[str, Any]:
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
    splits = {split: tables.splits[split] for split in SPLITS}
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


def size_words(size: int) -> str:
    """Bytes as people read them: ``32.5 KiB`` or ``1,024.0 MiB``."""
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The report in at most ten lines that fit a terminal of 80 columns beside the log's own."""
    total = report["total"]
    rejected, repaired = sum(total["rejected"].values()), sum(total["repairs"].values())
    lines = [
        f"files       {len(report['files'])}, {size_words(total['bytes'])}",
        f"found       {total['found']} rows",
        _fitted("kept", f"{total['kept']}:", total["splits"]),
        _fitted("rejected", f"{rejected}:" if rejected else "0", total["rejected"]),
        f"duplicates  {total['duplicates_exact']} exact, {total['duplicates_near']} near",
        _fitted("encodings", "", total["encodings"]),
        _fitted("repaired", f"{repaired}:" if repaired else "0", total["repairs"]),
    ]
    if total["notes"]:
        lines.append(_fitted("noticed", "", total["notes"]))
    useless = {name: file["found"] for name, file in report["files"].items() if _is_useless(file)}
    if useless:
        lines.append(_fitted("unusable", f"{len(useless)} file{'s' if len(useless) > 1 else ''}:", useless))
    return [*lines, "details     data_page, data_report, clean_rejects"]


def _is_useless(file: Mapping[str, Any]) -> bool:
    """Whether every row of a file was refused; one whose rows are all elsewhere too is not meant."""
    return bool(sum(file["rejected"].values()) == file["found"])


def _fitted(name: str, start: str, counts: Mapping[str, int]) -> str:
    """A line of the summary with as many counts as fit, and how many more there are."""
    line = f"{name:11} {start}".rstrip() if start else f"{name:11}"
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    for at, (what, count) in enumerate(ranked):
        short = what if len(what) <= _LONGEST_NAME else f"…{what[1 - _LONGEST_NAME :]}"
        more = f"{',' if at else ''} {short} {count}"
        rest = len(ranked) - at - 1
        if at and len(line) + len(more) + (len(f", {rest} other kinds") if rest else 0) > _WIDTH:
            return f"{line}, {rest + 1} other kind{'s' if rest else ''}"
        line += more
    return line


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
