"""What differs between two tracked trainings: parameters, data and results."""

from typing import TYPE_CHECKING, Any

from qwen_pipeline.errors import TrackingError
from qwen_pipeline.tracking.store import experiment_name, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NEWEST = "latest"
SHORTEST_PREFIX = 4


def compare_runs(first: str, second: str) -> dict[str, Any]:
    """Compare two runs of this project.

    Args:
        first: A run id, the beginning of one (four characters or more), a run's name, ``latest``, or
            ``latest~1`` for the one before.
        second: The other run, named the same way.

    Returns:
        ``runs`` (id, name, status, start time of both) and, each as ``{name: [first, second]}``, what
        differs in ``parameters`` and ``data``, and ``results`` for every metric that either run has.

    Raises:
        TrackingError: A run is unknown, or its short form fits several.
    """
    client = open_client()
    runs = _all_runs(client)
    pair = [_find(runs, name) for name in (first, second)]
    return {
        "runs": [_identity(run) for run in pair],
        "parameters": _differences([run.data.params for run in pair]),
        "data": _differences([_digests(run) for run in pair]),
        "results": _pairs([run.data.metrics for run in pair]),
    }


def _all_runs(client: "MlflowClient") -> list["Run"]:
    """All runs of this project, newest first."""
    experiment = client.get_experiment_by_name(experiment_name())
    if experiment is None:
        raise TrackingError("There is no tracked training yet; make one with: kedro run --pipeline train.")
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"]))


def _find(runs: list["Run"], name: str) -> "Run":
    if name == NEWEST or name.startswith(f"{NEWEST}~"):
        back = name.removeprefix(NEWEST).removeprefix("~") or "0"
        if not back.isdecimal() or int(back) >= len(runs):
            raise TrackingError(
                f"{name} does not exist; trainings tracked: {len(runs)}. See them with: mlflow ui"
            )
        return runs[int(back)]
    found = [run for run in runs if name in (run.info.run_id, run.info.run_name)]
    if not found and len(name) >= SHORTEST_PREFIX:
        found = [run for run in runs if run.info.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(run.info.run_id[:8] for run in runs[:5]) or "none"
    problem = "fits several trainings" if found else "is not a tracked training"
    raise TrackingError(f"{name} {problem}; the newest are {known}, and latest~1 is the one before the last.")


def _identity(run: "Run") -> dict[str, Any]:
    info = run.info
    return {"id": info.run_id, "name": info.run_name, "status": info.status, "start_time": info.start_time}


def _digests(run: "Run") -> dict[str, str]:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {item.dataset.name: item.dataset.digest for item in inputs}


def _pairs(values: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = sorted({name for value in values for name in value})
    return {name: [value.get(name) for value in values] for name in names}


def _differences(values: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: pair for name, pair in _pairs(values).items() if pair[0] != pair[1]}
