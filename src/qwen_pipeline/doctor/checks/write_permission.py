"""Folders that a run writes into (S9)."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok
from qwen_pipeline.doctor.machine import is_writable
from qwen_pipeline.model.demo import cache_directory
from qwen_pipeline.model.source import DEMO

ORDER = 70
FOLDERS = (
    "data/02_intermediate", "data/03_primary", "data/05_model_input", "data/06_models",
    "data/07_model_output", "data/08_reporting", ".",
)  # fmt: skip


def check(inspection: Inspection) -> Iterator[Finding]:
    """Name the folders that this user cannot write into."""
    blocked = [name for name in FOLDERS if not is_writable(inspection.project_path / name)]
    if blocked:
        unix = f"sudo chown -R $(id -u) {' '.join(blocked)}"
        remedy = f"icacls {blocked[0]} /grant %USERNAME%:F" if inspection.system == "Windows" else unix
        yield error("permissions", f"cannot write into {', '.join(blocked)}", remedy)
    else:
        yield ok("permissions", "all output folders are writable")
    cache = cache_directory()
    if inspection.model().name == DEMO and not is_writable(cache):
        set_variable = "set" if inspection.system == "Windows" else "export"
        fact = f"the demo model is kept in {cache}, which cannot be written"
        yield error("permissions", fact, f"{set_variable} XDG_CACHE_HOME=a folder that you may write")
