"""What this project does at Kedro's own events: point MLflow at the project and set the log levels."""

import logging
import os
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from qwen_pipeline.tracking.store import default_tracking_uri

_LIBRARIES = ("transformers", "datasets")


class ProjectHooks:
    """Hooks that cost nothing: no heavy library is imported here."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Point MLflow at the project's store and apply ``log_level`` before anything is loaded."""
        os.environ.setdefault("MLFLOW_TRACKING_URI", default_tracking_uri(context.project_path))
        _apply_log_level(context.config_loader["parameters"])


def _apply_log_level(groups: dict[str, dict[str, Any]]) -> None:
    """Set this project's loggers, and those of transformers and datasets through their variables."""
    level = str(groups["train"].get("log_level", "INFO")).upper()
    logging.getLogger("qwen_pipeline").setLevel(level)
    library_level = level if level in {"DEBUG", "ERROR", "CRITICAL"} else "WARNING"
    for library in _LIBRARIES:
        os.environ.setdefault(f"{library.upper()}_VERBOSITY", library_level.lower())
        logging.getLogger(library).setLevel(library_level)
