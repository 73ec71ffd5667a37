"""Folders that a run writes into (S9)."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok
from qwen_pipeline.doctor.machine import REMOUNT, is_mounted_read_only, is_writable
from qwen_pipeline.model.demo import cache_directory
from qwen_pipeline.model.source import DEMO

ORDER = 70
FOLDERS = (
    "data/02_intermediate", "data/03_primary", "data/05_model_input", "data/06_models",
    "data/07_model_output", "data/08_reporting", ".",
)  # fmt: skip


def check(inspection: Inspection) -> Iterator[Finding]:
    """Name the folders that this user cannot write into, and files that stand where a folder is needed."""
    if is_mounted_read_only(inspection.project_path):
        yield error("permissions", "the project's disk is mounted read-only", REMOUNT)
        return
    folders = {name: inspection.project_path / name for name in FOLDERS}
    in_the_way = [name for name, path in folders.items() if path.exists() and not path.is_dir()]
    blocked = [name for name, path in folders.items() if name not in in_the_way and not is_writable(path)]
    if blocked:
        unix = f"sudo chown -R $(id -u) {' '.join(blocked)}"
        remedy = f"icacls {blocked[0]} /grant %USERNAME%:F" if inspection.system == "Windows" else unix
        yield error("permissions", f"cannot write into {', '.join(blocked)}", remedy)
    for name in in_the_way:
        move = "move" if inspection.system == "Windows" else "mv"
        yield error("permissions", f"{name} is a file where a folder is needed", f"{move} {name} {name}.old")
    if not blocked and not in_the_way:
        yield ok("permissions", "all output folders are writable")
    try:
        cache = cache_directory()
    except RuntimeError:  # a user id without a home folder, as in some containers
        yield error("permissions", "this user has no home folder", "export HOME=a folder that you may write")
        return
    if inspection.model().name == DEMO and not is_writable(cache):
        set_variable = "set" if inspection.system == "Windows" else "export"
        fact = f"the demo model is kept in {cache}, which cannot be written"
        yield error("permissions", fact, f"{set_variable} XDG_CACHE_HOME=a folder that you may write")
