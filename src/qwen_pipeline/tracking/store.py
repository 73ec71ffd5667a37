"""Where MLflow keeps its runs: a SQLite file in the project, unless MLFLOW_TRACKING_URI says otherwise."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_pipeline.incremental.workspace import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "qwen-pipeline"
SQLITE = "sqlite:///"


def default_tracking_uri(project_path: Path) -> str:
    """The store that ``mlflow ui``, typed in the project's root, opens without flags."""
    return f"{SQLITE}{(project_path / 'mlflow.db').resolve().as_posix()}"


def tracking_uri() -> str:
    """The store in force: ``MLFLOW_TRACKING_URI``, else the project's own."""
    return os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(project_root())


def experiment_name() -> str:
    """The experiment that holds this project's runs: ``MLFLOW_EXPERIMENT_NAME``, else the project's own."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT


def open_client() -> "MlflowClient":
    """A client for the store in force that gives up early on a server that does not answer.

    MLflow by default waits 120 s and tries seven times, which would hold up a training for minutes. On a full disk it
    prints a traceback for every call; who calls tells the failure in a line.
    """
    if not logging.getLogger("qwen_pipeline").isEnabledFor(logging.DEBUG):
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri())


def experiment_id(client: "MlflowClient") -> str:
    """The id of the experiment of `experiment_name`, made when it is missing.

    A local store gets an absolute artifact folder beside its database: MLflow's own default is
    relative to the working directory.
    """
    from mlflow.exceptions import MlflowException

    name = experiment_name()
    if (found := client.get_experiment_by_name(name)) is not None:
        return str(found.experiment_id)
    uri = tracking_uri()
    location = None
    if uri.startswith(SQLITE):
        location = (Path(uri.removeprefix(SQLITE)).parent / "mlruns").resolve().as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        if (found := client.get_experiment_by_name(name)) is not None:  # made by another run meanwhile
            return str(found.experiment_id)
        raise
