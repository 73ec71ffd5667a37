"""One MLflow run a training. A store that fails is told, tried again, and never stops the training."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_pipeline.errors import TrainingInterruptedError
from qwen_pipeline.tracking.delivery import Delivery
from qwen_pipeline.tracking.earlier_part import known_steps, lists_model
from qwen_pipeline.tracking.json_values import json_document
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.tracking.store import experiment_id, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
MAX_BATCH = 900  # MLflow refuses more than 1,000 metrics a request
MAX_WAITING = 20_000  # figures kept for a store that does not answer, a few MiB; the oldest go first


class MlflowReporter(Reporter):
    """Sends a training's metrics, events and files to one MLflow run.

    Attributes:
        run_id: The run's id, ``None`` when the store could not be opened.
    """

    def __init__(
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
        self._name, self._tags = name, dict(tags)
        self._resume_run_id, self._undone_ms = resume_run_id, undone_ms
        self._client: MlflowClient | None = None
        self._delivery = Delivery()
        self._pending: list[tuple[str, float, int, int]] = []
        self._dropped = 0
        self._last_step: dict[str, int] = {}
        self._last_flush = time.monotonic()
        self._models: dict[str, str] = {}
        self._delivery.ask("open the store", self._open)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; nested ones under ``a.b``. A resumed run keeps what it has."""

        def send() -> None:
            from mlflow.entities import Param

            client, run_id = self._run()
            if run_id != self._resume_run_id:
                flat = [Param(key, str(value)[:6000]) for key, value in flatten(parameters)]
                client.log_batch(run_id, params=flat)

        self._delivery.ask("log parameters", send)

    def log_input(self, name: str, digest: str, source: str) -> None:
        """Record a dataset that the training reads, by its content digest."""

        def send() -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            dataset = Dataset(
                name=name, digest=digest[:36], source_type="local", source=json.dumps({"uri": source})
            )
            client, run_id = self._run()
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

        self._delivery.ask(f"log the input {name}", send)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Queue metrics of ``step``; a metric already recorded at this step or a later one is left."""
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if step > self._last_step.get(name, -1):
                self._last_step[name] = step
                self._pending.append((name, float(value), now, step))
        if (over := len(self._pending) - MAX_WAITING) > 0:
            del self._pending[:over]
            self._dropped += over
        if len(self._pending) >= MAX_BATCH or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self.flush()

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Record the training's events, those of its earlier parts included."""
        if events:
            self.log_document("events.json", {"events": list(events)})

    def go_back(self, step: int) -> None:
        """Record the steps after ``step`` again; MLflow deletes nothing, and shows the newest value of a step last."""
        self.flush()
        self._last_step = {name: min(last, step) for name, last in self._last_step.items()}

    def flush(self) -> None:
        """Send what is queued, and what an earlier failure has left."""
        self._last_flush = time.monotonic()
        if self._pending:
            self._delivery.ask("log metrics", self._send_metrics)
        else:
            self._delivery.go_on()

    def log_directory(self, directory: Path, name: str) -> None:
        """Record a directory (the adapter) as an artifact; it must stay until `finish`."""

        def send() -> None:
            client, run_id = self._run()
            client.log_artifacts(run_id, str(directory), artifact_path=name)

        self._delivery.ask(f"log {name}", send)

    def log_model(self, directory: Path, name: str) -> None:
        """Record an adapter as a model of this run: it is then listed among MLflow's models, once.

        Args:
            directory: The model's files; they must stay until `finish`.
            name: Its name in the list.
        """

        def send() -> None:
            client, run_id = self._run()
            experiment = client.get_run(run_id).info.experiment_id
            if run_id == self._resume_run_id and lists_model(client, experiment, run_id, name):
                return
            if name not in self._models:  # a second try fills the one that the first has made
                made = client.create_logged_model(experiment, name, source_run_id=run_id, model_type="peft")
                self._models[name] = made.model_id
            client.log_model_artifacts(self._models[name], str(directory))
            client.finalize_logged_model(self._models[name], "READY")

        self._delivery.ask(f"log the model {name}", send)

    def log_document(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Record a JSON document or a text as an artifact called ``name``."""
        text = json_document(content)

        def send() -> None:
            client, run_id = self._run()
            client.log_text(run_id, text, name)

        self._delivery.ask(f"log {name}", send)

    def finish(self, status: str) -> None:
        """Send what is left and close the run as ``FINISHED``, ``FAILED`` or ``KILLED``, whatever else failed."""

        def close() -> None:
            client, run_id = self._run()
            client.set_terminated(run_id, status)

        self.flush()
        self._delivery.finish("close the run", close)
        missing = self._delivery.left() + ([f"log {self._dropped} older figures"] if self._dropped else [])
        if missing and self._client is not None:
            logger.warning(
                "The MLflow run %s is not complete; it could not %s.", self.run_id, ", ".join(missing)
            )

    def _run(self) -> tuple["MlflowClient", str]:
        """The client and the run's id; the first call that the store answers opens it."""
        if self._client is None:
            self._open()
        assert self._client is not None and self.run_id is not None
        return self._client, self.run_id

    def _open(self) -> None:
        client, resumed = open_client(), self._resume_run_id
        known = known_steps(client, resumed, self._undone_ms) if resumed else None
        if resumed and known is not None:
            client.update_run(resumed, status="RUNNING")
            self.run_id = resumed
            self._leave_out(known)
        else:
            run = client.create_run(experiment_id(client), run_name=self._name, tags=self._tags)
            self.run_id = str(run.info.run_id)
        self._client = client

    def _leave_out(self, known: Mapping[str, int]) -> None:
        """Forget the figures that the resumed run has, where it was opened only after they were told."""
        self._pending = [item for item in self._pending if item[3] > known.get(item[0], -1)]
        self._last_step = {
            **known,
            **{name: max(s, known.get(name, -1)) for name, s in self._last_step.items()},
        }

    def _send_metrics(self) -> None:
        from mlflow.entities import Metric

        client, run_id = self._run()
        while self._pending:
            batch = self._pending[:MAX_BATCH]
            client.log_batch(run_id, metrics=[Metric(*item) for item in batch])
            del self._pending[: len(batch)]


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
    reporter = MlflowReporter(name, tags or {}, resume_run_id, undone_ms)
    reporter.log_parameters(parameters)
    try:
        yield reporter
    except (KeyboardInterrupt, TrainingInterruptedError):  # stopped on demand, to be gone on with
        reporter.finish("KILLED")
        raise
    except BaseException:
        reporter.finish("FAILED")
        raise
    reporter.finish("FINISHED")


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(dotted name, value)`` of nested parameters."""
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
