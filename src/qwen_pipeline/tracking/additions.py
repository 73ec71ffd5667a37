"""What later stages add to the run of the training they judge. A store that fails is told and stops no stage."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from qwen_pipeline.tracking.delivery import one_line
from qwen_pipeline.tracking.json_values import json_document
from qwen_pipeline.tracking.store import open_client

logger = logging.getLogger(__name__)


def log_evaluation(
    run_id: str | None,
    metrics: Mapping[str, float],
    documents: Mapping[str, Mapping[str, Any] | str],
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Add an evaluation or an export to the run of the training it judges; a failure is only told.

    Args:
        run_id: ``train_report["mlflow_run_id"]``; ``None`` does nothing.
        metrics: Figures by name.
        documents: JSON mappings or texts, by artifact name (``evaluation_report.json``).
        tables: Rows to record as MLflow tables, by artifact name.
    """
    if not run_id:
        return
    with _failure_told(f"the evaluation of run {run_id}"):
        client = open_client()
        for name, value in metrics.items():
            client.log_metric(run_id, name, float(value))
        for name, content in documents.items():
            client.log_text(run_id, json_document(content), name)
        for name, rows in (tables or {}).items():
            columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else {})}
            client.log_table(run_id, columns, name)


def carry_over(earlier: str, run_id: str, prefixes: tuple[str, ...]) -> None:
    """Give a training the figures of an earlier one that made the same adapter; a failure is only told.

    Args:
        earlier: The run whose adapter was judged.
        run_id: The run that gets them, with a tag that says where they come from.
        prefixes: What the names of such figures begin with.
    """
    with _failure_told(f"the earlier figures for run {run_id}"):
        client = open_client()
        has = client.get_run(run_id).data.metrics
        for name, value in client.get_run(earlier).data.metrics.items():
            if name.startswith(prefixes) and name not in has:
                client.log_metric(run_id, name, value)
        client.set_tag(run_id, "judged_in_run", earlier)


@contextmanager
def _failure_told(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # tracking never stops a stage
        logger.warning("MLflow did not take %s: %s", what, one_line(error))
