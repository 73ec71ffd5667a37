"""One log file a run, a JSON object a line, so that a support report can quote the last one."""

import contextlib
import json
import logging
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Any

FOLDER = "logs"
KEPT_FILES = 20
QUOTED_LINES = 200


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, and the error with traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class RunLog(logging.FileHandler):
    """A log file that gives up in silence where it cannot be written: a full disk is told once, by the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging’s)
        """Write no further line."""
        self.setLevel(logging.CRITICAL + 1)

    def close(self) -> None:
        """Close the file, whatever can still be written of it."""
        with contextlib.suppress(OSError):
            super().close()


def open_log_file(project_path: Path, name: str) -> logging.Handler | None:
    """Send this project's and Kedro's records of a run to ``logs/<name>.jsonl`` as well.

    Args:
        project_path: The project's root; ``logs/`` is made in it and keeps the newest files.
        name: The run's name, sortable by time.

    Returns:
        The handler for :func:`close_log_file`, ``None`` where nothing can be written.
    """
    folder = project_path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for old in sorted(folder.glob("*.jsonl"))[: -KEPT_FILES + 1]:
            old.unlink(missing_ok=True)
        handler = RunLog(folder / f"{name}.jsonl", encoding="utf-8", delay=True)
    except OSError:
        return None
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    return handler


def close_log_file(handler: logging.Handler | None) -> None:
    """Detach what :func:`open_log_file` attached."""
    if handler is not None:
        logging.getLogger().removeHandler(handler)
        handler.close()


def last_log(project_path: Path) -> tuple[str | None, list[dict[str, Any]]]:
    """The newest log file's name and its last lines, oldest first."""
    files = sorted((project_path / FOLDER).glob("*.jsonl"))
    if not files:
        return None, []
    with files[-1].open(encoding="utf-8", errors="replace") as stream:
        lines = deque(stream, maxlen=QUOTED_LINES)
    return files[-1].name, [parsed for line in lines if (parsed := _parse(line)) is not None]


def last_error(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last line that is an error."""
    return next((line for line in reversed(lines) if line.get("level") in {"ERROR", "CRITICAL"}), None)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError:  # a line cut off by a kill
        return None
    return parsed if isinstance(parsed, dict) else None
