"""Python: the project needs 3.11 to 3.14 (S14)."""

import platform
from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok

ORDER = 10
OLDEST, NEWEST = (3, 11), (3, 14)  # as in the Makefile; for newer ones not every pinned package has a wheel

INSTALL = {
    "Linux": "sudo apt install python3.12 python3.12-venv && make PYTHON=python3.12 run",
    "Darwin": "brew install python@3.12 && make PYTHON=python3.12 run",
    "Windows": "winget install Python.Python.3.12",
}


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare the running Python with the oldest and the newest that are supported."""
    shown = ".".join(str(part) for part in inspection.python_version)
    if not OLDEST <= inspection.python_version <= NEWEST:
        remedy = INSTALL.get(inspection.system, "install Python 3.12")
        is_old = inspection.python_version < OLDEST
        fact = f"Python {shown} is too {'old' if is_old else 'new'}; 3.11 to 3.14 is needed"
        yield error("python", fact, remedy)
    else:
        yield ok("python", f"Python {platform.python_version()} on {inspection.system} {platform.machine()}")
