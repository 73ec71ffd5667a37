"""Another run in this project, which a new one would be refused beside."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, ok, warning
from qwen_pipeline.incremental.lock import holder_of

ORDER = 75
LOCK = "data/.ledger/lock"


def check(inspection: Inspection) -> Iterator[Finding]:
    """Tell who holds the project's lock; a lock dies with its holder, so there is none to clean up."""
    holder = holder_of(inspection.project_path / LOCK)
    if holder is None:
        yield ok("lock", "no other run works in this project")
        return
    pid = holder.get("pid", "?")
    stop = f"taskkill /PID {pid}" if inspection.system == "Windows" else f"kill -INT {pid}"
    fact = (
        f"process {pid} works in this project since {holder.get('since', '?')}: {holder.get('command', '?')}"
    )
    yield warning("lock", fact, f"wait until it ends, or stop it with a checkpoint: {stop}")
