"""What every command sets right before it says its first word: what it may print, and where its log goes."""

import io
import logging
import os
import sys
from pathlib import Path

from qwen_pipeline.incremental.workspace import project_root


def prepare_terminal() -> None:
    """Print whatever the terminal's encoding lacks as ``?``, keep what is read in another one, use the project's logging."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's or a test's own may be something else
            stream.reconfigure(errors="replace")
    if isinstance(sys.stdin, io.TextIOWrapper):  # whoever reads it can then say what was wrong with a line
        sys.stdin.reconfigure(errors="surrogateescape")
    logging.raiseExceptions = (
        False  # a log on a full disk loses its lines; sixty of traceback for each help nobody
    )
    _use_project_logging()


def _use_project_logging() -> None:
    """Read ``conf/logging.yml`` from a subfolder too.

    Source: Kedro 1.7 looks for it in the working directory only, and else shows every dataset it loads. Can go when
    it looks in the project's root.
    """
    path = project_root() / "conf/logging.yml"
    if path.parent.parent == Path.cwd() or os.environ.get("KEDRO_LOGGING_CONFIG") or not path.is_file():
        return
    import yaml
    from kedro.framework.project import LOGGING

    LOGGING.configure(yaml.safe_load(path.read_text(encoding="utf-8")))
