"""The support report (S19): what a helper asks for first, in one file, with secrets taken out."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from qwen_pipeline.doctor.finding import Finding, Inspection
from qwen_pipeline.doctor.log_file import last_error, last_log
from qwen_pipeline.doctor.machine import free_disk_bytes, read_driver, read_torch_build
from qwen_pipeline.doctor.redact import redact

GIB = 2**30


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
        "reproduction": _reproduction(inspection),
    }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON, redacted as a whole."""
    text = json.dumps(report, ensure_ascii=False, indent=2, default=str)
    path.write_text(redact(text) + "\n", encoding="utf-8")


def _system(inspection: Inspection) -> dict[str, Any]:
    import psutil

    memory = psutil.virtual_memory()
    return {
        "platform": platform.platform(),
        "python": sys.version,
        "cpu_count": os.cpu_count(),
        "memory_gib": round(memory.total / GIB, 1),
        "memory_available_gib": round(memory.available / GIB, 1),
        "disk_free_gib": round(free_disk_bytes(inspection.project_path) / GIB, 1),
        "encoding": sys.getfilesystemencoding(),
    }


def _gpu() -> dict[str, Any]:
    build, driver = read_torch_build(), read_driver()
    return {"torch": asdict(build) if build else None, "driver": asdict(driver) if driver else None}


def _reproduction(inspection: Inspection) -> list[str]:
    """Commands that show the same on another machine: the parameters in force, the demo model."""
    changed = inspection.parameter("model_name", "demo")
    lines = ["git clone <this project> && cd <it>", "make setup"]
    lines.append(".venv/bin/kedro run --params num_epochs=1,batch_size=1,max_sequence_length=64")
    if changed != "demo":
        lines.append(f".venv/bin/kedro run --params model_name={changed},num_epochs=1,batch_size=1")
    return lines


def _name(distribution: Any) -> str:
    return str(distribution.metadata["Name"]).lower()
