"""One MLflow run a training. A store that fails is reported once and never stops the training."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_pipeline.tracking.store import experiment_id, open_client, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
MAX_BATCH = 900  # MLflow refuses more than 1,000 metrics a request


class MlflowReporter:
    """Sends a training's metrics, events and files to one MLflow run.

    Attributes:
        run_id: The run's id, ``None`` when the store could not be opened.
    """

    def __init__(self) -> None:
        self.run_id: str | None = None
        self._client: MlflowClient | None = None
        self._resumed = False
        self._pending: list[tuple[str, float, int, int]] = []
        self._last_step: dict[str, int] = {}
        self._last_flush = time.monotonic()
        self._events: list[dict[str, Any]] = []

    def start(
        self, name: str, tags: Mapping[str, str], resume_run_id: str | None = None, undone_ms: int = 0
    ) -> None:
        """Open a new run, or go on with ``resume_run_id`` where the store still has it.

        Args:
            name: The new run's name.
            tags: Its labels.
            resume_run_id: The run of the interrupted training.
            undone_ms: When it last rolled back, milliseconds since 1970; the steps recorded until then may be
                recorded again.
        """
        self._guard("open the store", lambda: self._open(name, tags, resume_run_id, undone_ms))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; nested ones under ``a.b``. A resumed run keeps what it has."""
        from mlflow.entities import Param

        if self._resumed:
            return
        flat = [Param(key, str(value)[:6000]) for key, value in flatten(parameters)]
        self._guard("log parameters", lambda: self._require().log_batch(self.run_id, params=flat))

    def log_input(self, name: str, digest: str, source: str, context: str) -> None:
        """Record a dataset that the training reads, by its content digest."""

        def send() -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            dataset = Dataset(
                name=name, digest=digest[:36], source_type="local", source=json.dumps({"uri": source})
            )
            self._require().log_inputs(
                self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])]
            )

        self._guard("log an input dataset", send)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Queue metrics of ``step``; a metric already recorded at this step or a later one is left."""
        if self._client is None:
            return
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if step > self._last_step.get(name, -1):
                self._last_step[name] = step
                self._pending.append((name, float(value), now, step))
        if len(self._pending) >= MAX_BATCH or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self.flush()

    def event(self, kind: str, **fields: Any) -> None:
        """Keep an event; all of them are written as one artifact at the end."""
        self._events.append({"kind": kind, **fields})

    def go_back(self, step: int) -> None:
        """Record the steps after ``step`` again; MLflow deletes nothing, and shows the newest value of a step last."""
        self.flush()
        self._last_step = {name: min(last, step) for name, last in self._last_step.items()}

    def flush(self) -> None:
        """Send what is queued."""
        self._last_flush = time.monotonic()
        pending, self._pending = self._pending, []
        if not pending:
            return

        def send() -> None:
            from mlflow.entities import Metric

            for start in range(0, len(pending), MAX_BATCH):
                batch = [Metric(*item) for item in pending[start : start + MAX_BATCH]]
                self._require().log_batch(self.run_id, metrics=batch)

        self._guard("log metrics", send)

    def log_directory(self, directory: Path, name: str) -> None:
        """Record a directory (the adapter) as an artifact."""
        self._guard(
            f"log {name}",
            lambda: self._require().log_artifacts(self.run_id, str(directory), artifact_path=name),
        )

    def log_model(self, directory: Path, name: str, kind: str) -> None:
        """Record a directory as a model of this run: it is then listed among MLflow's models, once.

        Args:
            directory: The model's files.
            name: Its name in the list.
            kind: Its type, as ``peft``.
        """

        def send() -> None:
            client = self._require()
            experiment = client.get_run(self.run_id).info.experiment_id
            if self._resumed and _lists_model(client, experiment, str(self.run_id), name):
                return
            model = client.create_logged_model(experiment, name, source_run_id=self.run_id, model_type=kind)
            client.log_model_artifacts(model.model_id, str(directory))
            client.finalize_logged_model(model.model_id, "READY")

        self._guard(f"log the model {name}", send)

    def log_document(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Record a JSON document or a text as an artifact called ``name``."""
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
        self._guard(f"log {name}", lambda: self._require().log_text(self.run_id, text, name))

    def finish(self, status: str) -> None:
        """Send what is left and close the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if self._client is None:
            return
        self.flush()
        if self._events:
            self.log_document("events.json", {"events": self._events})
        self._guard("close the run", lambda: self._require().set_terminated(self.run_id, status))

    def _open(self, name: str, tags: Mapping[str, str], resume_run_id: str | None, undone_ms: int) -> None:
        client = open_client()
        if resume_run_id and (known := _known_steps(client, resume_run_id, undone_ms)) is not None:
            client.update_run(resume_run_id, status="RUNNING")
            self.run_id, self._last_step, self._resumed = resume_run_id, known, True
        else:
            run = client.create_run(experiment_id(client), run_name=name, tags=dict(tags))
            self.run_id = str(run.info.run_id)
        self._client = client

    def _require(self) -> "MlflowClient":
        if self._client is None:
            raise RuntimeError("no run is open")
        return self._client

    def _guard(self, what: str, call: Callable[[], None]) -> None:
        """Run ``call``; the first failure is told in one line, and nothing is sent after it."""
        if self._client is None and what != "open the store":
            return
        try:
            call()
        except Exception as error:  # whatever a store raises, training goes on
            self._client = None
            reason = " ".join(str(error).split())[:200]
            logger.warning(
                "MLflow could not %s at %s (%s); training goes on and train_report keeps the figures. "
                "Check MLFLOW_TRACKING_URI.",
                what,
                tracking_uri(),
                reason,
            )


@contextmanager
def open_training_run(
    *,
    parameters: Mapping[str, Any],
    name: str = "train",
    tags: Mapping[str, str] | None = None,
    resume_run_id: str | None = None,
    undone_ms: int = 0,
) -> Iterator[MlflowReporter]:
    """Open one MLflow run for a training and close it with the right status.

    Args:
        parameters: What the training was asked to do; nested mappings become dotted names.
        name: The run's name in the list.
        tags: Free labels (fingerprints, model name).
        resume_run_id: The run of the interrupted training that goes on now.
        undone_ms: When that training last rolled back, milliseconds since 1970; 0 for never.

    Yields:
        A reporter; its ``run_id`` is ``None`` when the store is out of reach.
    """
    reporter = MlflowReporter()
    reporter.start(name, tags or {}, resume_run_id, undone_ms)
    reporter.log_parameters(parameters)
    try:
        yield reporter
    except KeyboardInterrupt:
        reporter.finish("KILLED")
        raise
    except BaseException:
        reporter.finish("FAILED")
        raise
    reporter.finish("FINISHED")


def log_evaluation(
    run_id: str | None,
    metrics: Mapping[str, float],
    documents: Mapping[str, Mapping[str, Any] | str] | None = None,
    files: Mapping[str, Path] | None = None,
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Add an evaluation or an export to the run of the training it judges; a failure is only told.

    Args:
        run_id: ``train_report["mlflow_run_id"]``; ``None`` does nothing.
        metrics: Figures by name.
        documents: JSON mappings or texts, by artifact name (``evaluation_report.json``).
        files: Files to record, by the artifact folder they go into.
        tables: Rows to record as MLflow tables, by artifact name.
    """
    if not run_id:
        return
    try:
        client = open_client()
        for name, value in metrics.items():
            client.log_metric(run_id, name, float(value))
        for name, content in (documents or {}).items():
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
            client.log_text(run_id, text, name)
        for folder, path in (files or {}).items():
            client.log_artifact(run_id, str(path), artifact_path=folder or None)
        for name, rows in (tables or {}).items():
            columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else {})}
            client.log_table(run_id, columns, name)
    except Exception as error:  # tracking never stops a stage
        reason = " ".join(str(error).split())[:200]
        logger.warning("MLflow did not take the evaluation of run %s: %s", run_id, reason)


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(dotted name, value)`` of nested parameters."""
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _lists_model(client: "MlflowClient", experiment: str, run_id: str, name: str) -> bool:
    """Whether a run's model is there already, as of a training that was killed after it had sent it."""
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    return any(model.name == name and str(model.status) == "READY" for model in found)


def _known_steps(client: "MlflowClient", run_id: str, since_ms: int) -> dict[str, int] | None:
    """The last step recorded of each metric after ``since_ms``, ``None`` when the store does not know the run."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        return None
    return {
        name: max(
            (m.step for m in client.get_metric_history(run_id, name) if m.timestamp > since_ms), default=-1
        )
        for name in run.data.metrics
    }
