"""What this project does at Kedro's own events: MLflow's place, log levels, one log file a run."""

import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DatasetError

from qwen_pipeline.doctor.log_file import close_log_file, open_log_file
from qwen_pipeline.errors import VersionError
from qwen_pipeline.incremental.workspace import open_project
from qwen_pipeline.tracking.store import default_tracking_uri

LIBRARIES = ("transformers", "datasets")
# They warn of what no user can change, or of each try at what is told in one line when the last one failed.
CHATTY = ("alembic", "bitsandbytes", "mlflow", "kedro_viz", "urllib3")
DATA_PAGES = ("data_page", "token_page")
JUDGEMENTS = ("test_", "validation_base_", "validation_tuned_", "export_")  # figures of evaluate and export
WORTH_A_LOOK = {"evaluation_page": "page", "exported_model": "model"}


class ProjectHooks:
    """Hooks that cost nothing: no heavy library is imported here."""

    def __init__(self) -> None:
        self._project_path = Path.cwd()
        self._store: str | None = None  # of the project opened last, where the user named none
        self._log_file: logging.Handler | None = None
        self._awaits_profile = False
        self._earlier_run: str | None = None
        self._new_run: str | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Point MLflow at the project's store and apply ``log_level`` before anything is loaded."""
        self._project_path = Path(context.project_path)
        open_project(self._project_path)
        if os.environ.get("MLFLOW_TRACKING_URI", self._store) == self._store:
            self._store = default_tracking_uri(self._project_path)
            os.environ["MLFLOW_TRACKING_URI"] = self._store
        train = context.config_loader["parameters"]["train"]
        apply_log_level(str(train["log_level"]))
        self._awaits_profile = bool(train["enable_memory_profiling"])

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Open the run's log file; its first line says what was asked for."""
        with suppress(DatasetError, VersionError):  # none yet, or damaged: the run makes another
            if "train_report" in pipeline.datasets():
                self._earlier_run = catalog.load("train_report").get("mlflow_run_id")
        name = str(run_params["run_id"]).replace(":", ".")
        self._log_file = open_log_file(self._project_path, name)
        asked = {key: value for key, value in run_params.items() if value and key != "project_path"}
        self._write(logging.INFO, f"run {asked}")

    @hook_impl
    def after_node_run(self, catalog: Any, outputs: dict[str, Any]) -> None:
        """Keep the pages about the data with the training that was made on it."""
        if "evaluation_report" in outputs:
            self._earlier_run = None  # judged anew
        report = outputs.get("train_report")
        if report is None:
            return
        self._awaits_profile, self._new_run = False, report.get("mlflow_run_id")
        from qwen_pipeline.tracking.additions import log_evaluation

        pages = {f"{name}.html": str(catalog.load(name)) for name in DATA_PAGES if catalog.exists(name)}
        log_evaluation(report.get("mlflow_run_id"), {}, pages)

    @hook_impl
    def after_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        """Say what came out and where it is, in lines that can be copied; close the run's log file."""
        made = set() if _is_dry_run() else pipeline.datasets()
        if "evaluation_report" in made and self._earlier_run and self._new_run:
            from qwen_pipeline.tracking.additions import carry_over

            # the adapter came out equal: it was not judged again
            carry_over(self._earlier_run, self._new_run, JUDGEMENTS)
        if "evaluation_report" in made:
            click.echo(catalog.load("evaluation_report")["verdict"])
        for name in [name for name in WORTH_A_LOOK if name in made]:
            path = Path(catalog[name].newest_path())
            click.echo(f"{WORTH_A_LOOK[name]:5}  {self._from_here(path)}")
        if "train_report" in made and self._awaits_profile:
            click.echo(
                "enable_memory_profiling=true has recorded nothing, because the training is current; add --force train "
                "to train again and record it."
            )
        self._close()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Keep the failure with its traceback in the log file; the terminal gets one sentence."""
        self._write(logging.ERROR, str(error), error)
        self._close()

    def _from_here(self, path: Path) -> str:
        """A path to copy: short where it lies in the project, whole where the catalog puts it elsewhere."""
        return os.path.relpath(path) if path.is_relative_to(self._project_path) else str(path)

    def _close(self) -> None:
        close_log_file(self._log_file)
        self._log_file = None

    def _write(self, level: int, message: str, error: Exception | None = None) -> None:
        if self._log_file is not None:
            exc_info = (type(error), error, error.__traceback__) if error else None
            self._log_file.handle(
                logging.LogRecord("qwen_pipeline.run", level, __file__, 0, message, None, exc_info)
            )


def _is_dry_run() -> bool:
    """Whether the command asked only for what would run: nothing came out that could be shown."""
    command = click.get_current_context(silent=True)
    return bool(command and command.params.get("dry_run"))


def apply_log_level(level: str) -> None:
    """Set this project's loggers and those of the libraries below it (S16).

    Their own variables are set for libraries that are imported later; loggers already there follow too.
    Progress bars of the libraries are for terminals only. At ``DEBUG`` nothing is held back.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``.
    """
    level = level.upper()
    logging.getLogger("qwen_pipeline").setLevel(level)
    library_level = "WARNING" if level == "INFO" else level
    for library in LIBRARIES:
        os.environ[f"{library.upper()}_VERBOSITY"] = library_level.lower()
        if library in sys.modules:
            logging.getLogger(library).setLevel(library_level)
    if level == "DEBUG":
        return
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel("ERROR")
    warnings.filterwarnings("ignore", category=FutureWarning)
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
