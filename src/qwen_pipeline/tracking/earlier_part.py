"""What an interrupted training has in the store already, so that its second part repeats none of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # how a store says that it has no such run


def lists_model(client: "MlflowClient", experiment: str, run_id: str, name: str) -> bool:
    """Whether a run's model is there already, as of a training that was killed after it had sent it."""
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    return any(model.name == name and str(model.status) == "READY" for model in found)


def known_steps(client: "MlflowClient", run_id: str, since_ms: int) -> dict[str, int] | None:
    """The last step recorded of each metric after ``since_ms``, ``None`` when the store does not know the run."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as failure:
        if failure.error_code in _UNKNOWN:
            return None
        raise  # the store does not answer: whether it has the run is not known yet
    if run.info.lifecycle_stage == "deleted":
        return None
    return {
        name: max(
            (m.step for m in client.get_metric_history(run_id, name) if m.timestamp > since_ms), default=-1
        )
        for name in run.data.metrics
    }
