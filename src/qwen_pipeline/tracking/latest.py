"""The latest tracked training, for those who must not remove what it refers to."""

from pathlib import Path

from qwen_pipeline.tracking.store import SQLITE, experiment_name, open_client, tracking_uri


def latest_run_id() -> str | None:
    """Id of the newest run of this project; ``None`` where nothing was tracked or the store is out of reach."""
    uri = tracking_uri()
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        return None
    try:
        client = open_client()
        experiment = client.get_experiment_by_name(experiment_name())
        if experiment is None:
            return None
        newest = client.search_runs(
            [experiment.experiment_id], order_by=["attributes.start_time DESC"], max_results=1
        )
    except Exception:  # whatever a store raises; the records know the runs that made something
        return None
    return str(newest[0].info.run_id) if newest else None
