"""bitsandbytes really quantising a tensor (S6)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok

ORDER = 40
INSTALL = '-m pip install --force-reinstall accelerate "bitsandbytes>=0.50,<0.51"'
LARGEST_ERROR = 0.2  # relative; NF4 of normal values errs by about 0.09
PATIENCE_SECONDS = 120


def check(inspection: Inspection) -> Iterator[Finding]:
    """Quantise a tensor to NF4 in a process of its own and compare what comes back."""
    yield judge(quantise_apart(), f"{inspection.program('python')} {INSTALL}")


def quantise_apart() -> dict[str, Any]:
    """What `doctor.quantise` prints; a process that dies of the library is a failure like any other."""
    command = [sys.executable, "-m", "qwen_pipeline.doctor.quantise"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return {"failure": f"bitsandbytes does not answer within {PATIENCE_SECONDS} seconds"}
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["nothing was printed"])[-1]
        return {"failure": f"bitsandbytes ends the process (exit code {done.returncode}): {last}"}
    return found


def judge(found: dict[str, Any], install: str) -> Finding:
    """One finding from what came of it.

    Args:
        found: As `doctor.quantise.quantise` returns it.
        install: The command that installs the right libraries.
    """
    if "failure" in found:
        return error("4-bit", found["failure"], install)
    version, device, relative = found["version"], found["device"], found["relative_error"]
    if not relative <= LARGEST_ERROR:
        fact = f"NF4 on {device} comes back {relative:.0%} off; bitsandbytes is broken here"
        return error("4-bit", fact, install)
    return ok("4-bit", f"bitsandbytes {version} quantises on {device} ({relative:.1%} off)")
