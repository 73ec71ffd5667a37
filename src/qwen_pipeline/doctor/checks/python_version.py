"""Python: the project needs 3.11 or newer (S14)."""

import platform
from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok

ORDER = 10
NEEDED = (3, 11)

INSTALL = {
    "Linux": "sudo apt install python3.12 python3.12-venv && make PYTHON=python3.12 run",
    "Darwin": "brew install python@3.12 && make PYTHON=python3.12 run",
    "Windows": "winget install Python.Python.3.12",
}


def check(inspection: Inspection) -> Iterator[Finding]:
    """Compare the running Python with the oldest one that is supported."""
    shown = ".".join(str(part) for part in inspection.python_version)
    if inspection.python_version < NEEDED:
        remedy = INSTALL.get(inspection.system, "install Python 3.12")
        yield error("python", f"Python {shown} is too old; 3.11 or newer is needed", remedy)
    else:
        yield ok("python", f"Python {platform.python_version()} on {inspection.system} {platform.machine()}")
