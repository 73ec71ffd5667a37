"""What Triton's kernels need beside the card: the package, a C compiler and Python's headers."""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.finding import Finding, Inspection, ok, warning
from qwen_pipeline.doctor.machine import read_driver, read_torch_build

ORDER = 35
INSTALL = {"compiler": "sudo apt install gcc", "headers": "sudo apt install python3-dev"}


def check(inspection: Inspection) -> Iterator[Finding]:
    """Nothing to say without a card."""
    build = read_torch_build()
    if build is not None and build.cuda is not None and read_driver() is not None:
        yield judge(find_missing(), inspection.system)


def find_missing() -> list[str]:
    """Of ``triton``, ``compiler`` and ``headers`` those that are not there."""
    found = {
        "triton": importlib.util.find_spec("triton") is not None,
        "compiler": any(map(shutil.which, filter(None, (os.environ.get("CC"), "gcc", "clang")))),
        "headers": (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    }
    return [name for name, is_there in found.items() if not is_there]


def judge(missing: list[str], system: str) -> Finding:
    """One finding from what is missing.

    Args:
        missing: As `find_missing` names it.
        system: ``platform.system()``.
    """
    if system == "Windows":  # triton-windows brings a compiler and headers of its own
        missing = [name for name in missing if name == "triton"]
    if not missing:
        return ok("kernels", "Triton, a C compiler and Python's headers are there")
    fact = f"no {', no '.join(missing)} for Triton's kernels: training works, and takes up to half as much time again"
    if "triton" in missing:
        remedy = "pip install triton-windows" if system == "Windows" else "rm -rf .venv && make setup"
    else:
        remedy = " && ".join(INSTALL[name] for name in missing)
    return warning("kernels", fact, remedy)
