"""Run only the nodes whose code, parameters or inputs changed, and say why."""

import logging
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner, Task
from pluggy import PluginManager

from qwen_pipeline.errors import LongRunRefusedError
from qwen_pipeline.incremental.fingerprint import code_digests, digest_of, digest_path, library_versions
from qwen_pipeline.incremental.ledger import Ledger, Record, reason_to_run
from qwen_pipeline.incremental.workspace import entered
from qwen_pipeline.params.fields import run_time_fields

logger = logging.getLogger(__name__)

DATA = Path("data")
LONG_SECONDS = 600.0


class IncrementalRunner(SequentialRunner):
    """A sequential runner that skips what is current.

    Args:
        force: ``all``, or names of stages joined by ``+``, that run whether current or not.
        dry_run: Only say what would run.
        yes: Do not ask before a node whose last run took over ten minutes runs again.
    """

    def __init__(
        self, is_async: bool = False, force: str = "", dry_run: bool = False, yes: bool = False
    ) -> None:
        super().__init__(is_async=is_async)
        self._yes = yes
        self._force = set(force.split("+")) - {""}
        self._dry_run = dry_run
        self._ledger = Ledger(DATA / ".ledger")
        self._libraries = library_versions()
        self._made: dict[str, str] = {}  # digests of what this run made, by dataset

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        work = DATA / ".work"
        shutil.rmtree(work, ignore_errors=True)
        changed = False
        for node in pipeline.nodes:
            depends = self._depends(node, catalog)
            reason = self._reason(node, depends, catalog)
            stage = (node.namespace or node.name).partition(".")[0]
            if reason is None:
                logger.info("%s: current", node.name)
                self._remember(self._ledger.read(node.name))
                continue
            if self._dry_run:
                logger.info("%s: %s run: %s", node.name, "may" if changed else "would", reason)
                changed = True
                continue
            logger.info("%s: running, because %s", node.name, reason)
            self._confirm(node, reason)
            start = time.monotonic()
            with entered(work / node.name, digest_of(depends)):
                Task(node, catalog, self._is_async, hook_manager=hook_manager, run_id=run_id).execute()
            self._record(node, depends, catalog, time.monotonic() - start)
            logger.info("%s: done in %.1f s", stage, time.monotonic() - start)
        shutil.rmtree(work, ignore_errors=True)

    def status(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[dict[str, Any]]:
        """Each node's state, ``current`` or ``stale``, with the reason and the time of its last run."""
        rows = []
        for node in pipeline.nodes:
            reason = self._reason(node, self._depends(node, catalog), catalog)
            record = self._ledger.read(node.name) or Record(node.name, {})
            self._remember(record)
            rows.append(
                {
                    "node": node.name,
                    "state": "stale" if reason else "current",
                    "reason": reason,
                    "finished": record.finished,
                    "seconds": record.seconds,
                    "outputs": record.outputs,
                }
            )
        return rows

    def _remember(self, record: Record | None) -> None:
        """Take the digests of a node's recorded outputs as they stand, without reading the outputs again."""
        for name, output in (record.outputs if record else {}).items():
            self._made.setdefault(name, output["digest"])

    def _confirm(self, node: Node, reason: str) -> None:
        """Ask before a node whose last run was long runs again.

        Raises:
            LongRunRefusedError: The user declined, or there is nobody to ask and ``--yes`` is missing.
        """
        record = self._ledger.read(node.name)
        if self._yes or record is None or record.seconds < LONG_SECONDS:
            return
        minutes = record.seconds / 60
        told = f"{node.name} took {minutes:.0f} minutes last time and would run again, because {reason}."
        if sys.stdin.isatty() and input(f"{told} Run it? [y/N] ").strip().lower() in ("y", "yes"):
            return
        raise LongRunRefusedError(f"{told} Add --yes to run it, or undo the change.")

    def _reason(
        self, node: Node, depends: dict[str, dict[str, Any]], catalog: CatalogProtocol[Any, Any]
    ) -> str | None:
        stage = (node.namespace or node.name).partition(".")[0]
        if self._force & {"all", stage, node.name}:
            return "it was forced"
        record = self._ledger.read(node.name)
        missing = [
            name
            for name, output in (record.outputs if record else {}).items()
            if not _is_there(catalog[name], output["version"])
        ]
        return reason_to_run(record, depends, missing)

    def _depends(self, node: Node, catalog: CatalogProtocol[Any, Any]) -> dict[str, dict[str, Any]]:
        parameters: dict[str, Any] = {}
        inputs: dict[str, Any] = {}
        for name in node.inputs:
            if name.startswith("params:"):
                group = catalog.load(name)
                values = group.model_dump(mode="json", exclude=set(run_time_fields(type(group))))
                stage = name.removeprefix("params:")
                parameters |= {f"{stage}.{key}": value for key, value in values.items()}
            else:
                inputs[name] = self._input_digest(name, catalog)
        code = code_digests(node.func.__module__)
        return {"code": code, "parameters": parameters, "inputs": inputs, "libraries": self._libraries}

    def _input_digest(self, name: str, catalog: CatalogProtocol[Any, Any]) -> str:
        dataset = catalog[name]
        if hasattr(dataset, "fingerprint"):
            return digest_of(dataset.fingerprint())
        return self._made.get(name) or _content_digest(dataset)

    def _record(
        self,
        node: Node,
        depends: dict[str, dict[str, Any]],
        catalog: CatalogProtocol[Any, Any],
        seconds: float,
    ) -> None:
        outputs = {}
        for name in node.outputs:
            dataset: Any = catalog[name]
            digest = _content_digest(dataset)
            self._made[name] = digest
            outputs[name] = {"version": str(dataset.resolve_load_version()), "digest": digest}
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        self._ledger.write(Record(node.name, depends, outputs, finished, round(seconds, 2)))


def _content_digest(dataset: Any) -> str:
    if not dataset.exists():
        return "missing"
    return digest_path(Path(dataset._get_load_path()))


def _is_there(dataset: Any, version: str) -> bool:
    return dataset.exists() and str(dataset.resolve_load_version()) == version
