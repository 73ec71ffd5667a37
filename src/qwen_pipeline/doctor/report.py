"""The support report (S19): what a helper asks for first, in one file, with secrets taken out."""

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from qwen_pipeline.container import available_memory_bytes, total_memory_bytes, usable_cores
from qwen_pipeline.doctor.finding import Finding, Inspection
from qwen_pipeline.doctor.log_file import last_error, last_log
from qwen_pipeline.doctor.machine import GIB, free_disk_bytes, read_driver, read_torch_build
from qwen_pipeline.doctor.redact import redact_values
from qwen_pipeline.doctor.reproduction import reproduce
from qwen_pipeline.errors import DataError
from qwen_pipeline.tracking.json_values import json_document


def build_report(inspection: Inspection, findings: Iterable[Finding]) -> dict[str, Any]:
    """Collect system, versions, card, parameters, findings, the last error with its log, a reproduction.

    Args:
        inspection: The project and its parameters.
        findings: What the doctor found.

    Returns:
        A document of plain data, not yet redacted.
    """
    log_name, log = last_log(inspection.project_path)
    return {
        "system": _system(inspection),
        "versions": {d.metadata["Name"]: d.version for d in sorted(distributions(), key=_name)},
        "gpu": _gpu(),
        "parameters": {stage: dict(group) for stage, group in inspection.groups.items()},
        "findings": [asdict(finding) for finding in findings],
        "last_error": last_error(log),
        "log": {"file": log_name, "lines": log},
        "reproduction": reproduce(inspection),
    }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON, each of its values redacted.

    Args:
        path: The file; its folder is made where it is missing.
        report: What `build_report` gave.

    Raises:
        DataError: The file cannot be written there.
    """
    text = json_document(redact_values(report))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as failure:
        raise DataError(
            f"--report {path} cannot be written ({failure.strerror}); name a file in a folder that you may write into."
        ) from failure


def _system(inspection: Inspection) -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "python": sys.version,
        "cpu_count": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gib": round(total_memory_bytes() / GIB, 1),
        "memory_available_gib": round(available_memory_bytes() / GIB, 1),
        "disk_free_gib": round(free_disk_bytes(inspection.project_path) / GIB, 1),
        "encoding": sys.getfilesystemencoding(),
    }


def _gpu() -> dict[str, Any]:
    build, driver = read_torch_build(), read_driver()
    return {"torch": asdict(build) if build else None, "driver": asdict(driver) if driver else None}


def _name(distribution: Any) -> str:
    return str(distribution.metadata["Name"]).lower()
