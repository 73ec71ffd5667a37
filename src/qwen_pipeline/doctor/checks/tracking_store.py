"""The MLflow store that a training would log to."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.finding import Finding, Inspection, ok, warning
from qwen_pipeline.doctor.machine import REMOUNT, is_mounted_read_only, is_writable
from qwen_pipeline.tracking.store import default_tracking_uri

ORDER = 80


def check(inspection: Inspection) -> Iterator[Finding]:
    """Look at a local store's file; a remote one is named, not called."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(inspection.project_path)
    if not uri.startswith("sqlite:///"):
        yield ok("mlflow", f"runs go to {_without_password(uri)}")
        return
    path = Path(uri.removeprefix("sqlite:///"))
    if not is_writable(path.parent) or (path.exists() and not os.access(path, os.W_OK)):
        remedy = REMOUNT if is_mounted_read_only(path.parent) else f"chmod u+w {path}"
        yield warning("mlflow", f"{path.name} cannot be written; runs will not be tracked", remedy)
    elif path.exists() and not _is_database(path):
        yield warning(
            "mlflow", f"{path.name} is not a SQLite database", f"mv {path.name} {path.name}.damaged"
        )
    else:
        yield ok("mlflow", f"runs go to {path.name}")


def _is_database(path: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else uri
