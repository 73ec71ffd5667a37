"""Run only the nodes whose code, parameters, inputs or libraries changed, and say why."""

import logging
import shutil
import time
from collections import Counter
from functools import cached_property
from itertools import chain
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner, Task
from pluggy import PluginManager

from qwen_pipeline.errors import ParameterError, VersionError
from qwen_pipeline.incremental.attempts import Attempts
from qwen_pipeline.incremental.code import CodeReader
from qwen_pipeline.incremental.commit import Made, commit_outputs, take_back, versions_read
from qwen_pipeline.incremental.content import file_digests
from qwen_pipeline.incremental.depends import DependencyReader, require_inputs, require_versions
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.lock import project_lock
from qwen_pipeline.incremental.long_runs import confirm_long_run
from qwen_pipeline.incremental.plan import Decision, Planner, stage_of
from qwen_pipeline.incremental.publication import clear_leftovers, held_outputs
from qwen_pipeline.incremental.viz_events import note_skipped
from qwen_pipeline.incremental.workspace import WORK, entered, ledger_folder

logger = logging.getLogger(__name__)


class IncrementalRunner(SequentialRunner):
    """A sequential runner that skips what is current.

    Args:
        is_async: Load and save in threads, as Kedro's own runner does.
        force: ``all``, or names of stages joined by ``+`` or ``,``, that run whether current or not.
        dry_run: Only say what would run.
        yes: Do not ask before a node whose last run took over ten minutes runs again.
    """

    def __init__(
        self, is_async: bool = False, force: str = "", dry_run: bool = False, yes: bool = False
    ) -> None:
        super().__init__(is_async=is_async)
        self._yes = yes
        self._force = set(force.replace(",", "+").split("+")) - {""}
        self._dry_run = dry_run

    @cached_property
    def _ledger(self) -> Ledger:
        """The project's records: found when something runs, because a session opens its project only then."""
        return Ledger(ledger_folder())

    def __str__(self) -> str:
        """What Kedro-Viz looks for, to show the last run's status: it knows one runner by its text."""
        return f"<{type(self).__name__}, a kedro.runner.sequential_runner.SequentialRunner object>"

    def plan(self, catalog: CatalogProtocol[Any, Any], verify: bool = False) -> Planner:
        """A planner over this project's records."""
        self._code = CodeReader(self._ledger.folder / "code.json")
        return Planner(self._ledger, DependencyReader(catalog, self._code), self._force, verify)

    def remember(self) -> None:
        """Keep the digests that were computed, so that the next command does not read again."""
        if self._ledger.folder.is_dir():
            self._code.save()
            file_digests().save()

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        self._require_known(pipeline)
        require_inputs(pipeline.inputs(), catalog)
        require_versions(pipeline.datasets(), catalog)
        planner = self.plan(catalog)
        if self._dry_run:
            for decision in planner.foresee(pipeline.nodes):
                print(f"{decision.node}: {_foreseen(decision)}")  # what was asked for, whatever the log level
            self.remember()
            return
        with project_lock(self._ledger.folder / "lock"):
            self._clean(catalog)
            for node in pipeline.nodes:  # an edit while something runs is noticed by the next run
                planner.read_code(node)
            self._run_stale(_Run(pipeline, catalog, hook_manager, run_id, planner))
            self._clean_work()
            self.remember()

    def _run_stale(self, run: "_Run") -> None:
        self._tell_stale_inputs(run)
        load_counts = Counter(chain.from_iterable(node.inputs for node in run.pipeline.nodes))
        for node in run.pipeline.nodes:  # after a failure the same command goes on there: no hint is needed
            self._bring_up_to_date(node, run)
            self._release_datasets(node, run.catalog, load_counts, run.pipeline)

    def _bring_up_to_date(self, node: Node, run: "_Run") -> None:
        decision = run.planner.decide(node)
        if decision.action == "take back" and self._take_back(node, decision, run):
            return
        if decision.action == "current" and decision.record:
            logger.info("%s: current (version %s)", node.name, decision.record.version)
            note_skipped(run.hook_manager, node, decision.record.seconds)
            return
        if decision.action == "take back":  # it turned out to be damaged
            decision = run.planner.decide(node)
        self._make_inputs_whole(node, run)
        if not self._yes:
            confirm_long_run(decision, Attempts(self._ledger))
        logger.info("%s: running, because %s", node.name, decision.reason)
        self._execute(node, decision, run)

    def _execute(self, node: Node, decision: Decision, run: "_Run") -> None:
        fingerprint = decision.depends.fingerprint
        work, attempts = self._ledger.folder.parent / WORK / node.name, Attempts(self._ledger)
        attempts.begin(node.name, fingerprint)
        start = time.monotonic()
        read = versions_read(node.inputs, run.catalog)
        try:
            with held_outputs() as held, entered(work, fingerprint) as afterwards:
                Task(
                    node, run.catalog, self._is_async, hook_manager=run.hook_manager, run_id=run.run_id
                ).execute()
                seconds = attempts.seconds(node.name, time.monotonic() - start)
                made = Made(node, run.planner.after_run(node, decision), read, seconds)
                commit_outputs(made, self._ledger, run.catalog, held, run.run_id)
        except BaseException:
            attempts.stopped(node.name, time.monotonic() - start)
            raise
        attempts.end(node.name)
        for action in afterwards:
            action()
        shutil.rmtree(work, ignore_errors=True)
        logger.info("%s: done in %.1f s", node.name, time.monotonic() - start)

    def _take_back(self, node: Node, decision: Decision, run: "_Run") -> bool:
        """Publish an older version again; false where its bytes are not what was written."""
        old = decision.record
        if old is None:
            return False
        for name, output in old.outputs.items():
            if words := run.catalog[name].damage(output.version, verify=True):
                run.planner.mark_damaged(name, output.version, words)
                return False
        take_back(old, decision, self._ledger, run.catalog)
        logger.info("%s: version %s taken back, because %s", node.name, old.version, decision.reason)
        note_skipped(run.hook_manager, node, old.seconds)
        return True

    def _make_inputs_whole(self, node: Node, run: "_Run") -> None:
        """Read the inputs' bytes before they are served; what is damaged is made again.

        Raises:
            VersionError: An input is missing or damaged, and nothing in this run makes it.
        """
        for name in dict.fromkeys(node.inputs):
            dataset = run.catalog[name]
            if not hasattr(dataset, "newest_version"):
                continue
            words = dataset.damage(verify=True) if dataset.load_version() else "is not there yet"
            if words is None:
                continue
            producer = run.producers.get(name)
            if producer is None or (dataset._version and dataset._version.load):
                raise VersionError(
                    f"{name} {words}, and this run does not make it; run kedro run --pipeline "
                    f"{stage_of(node)} without a slice such as --from-nodes or --tags."
                )
            logger.warning("%s %s: %s makes it again", name, words, producer.name)
            run.planner.mark_damaged(name, str(dataset.load_version()), words)
            self._bring_up_to_date(producer, run)

    def _tell_stale_inputs(self, run: "_Run") -> None:
        """A slice (``--from-nodes``, ``--tags``) reads what is there: say so where that is stale."""
        outside = [node for node in _whole_pipeline().nodes if node not in run.pipeline.nodes]
        wanted = run.pipeline.inputs()
        if not any(set(node.outputs) & wanted for node in outside):
            return
        needed = _whole_pipeline().to_outputs(
            *(name for node in outside for name in node.outputs if name in wanted)
        )
        # force is for this run's nodes
        unforced = Planner(self._ledger, DependencyReader(run.catalog, self._code))
        for decision in unforced.foresee(needed.nodes):
            if decision.action != "current":
                logger.warning(
                    "%s is stale (%s), and this run leaves it as it is: what is made from it is stale too. "
                    "Run without --from-nodes, --nodes or --tags to bring it up to date.",
                    decision.node,
                    decision.reason,
                )

    def _clean(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Put right what a killed run left."""
        self._ledger.recover()
        for name in catalog:
            if not name.startswith("params:") and hasattr(dataset := catalog[name], "versions_folder"):
                clear_leftovers(dataset.versions_folder)
        self._clean_work()

    def _clean_work(self) -> None:
        shutil.rmtree(self._ledger.folder.parent / WORK, ignore_errors=True)

    def _require_known(self, pipeline: Pipeline) -> None:
        """Refuse to force what does not exist.

        Raises:
            ParameterError: No stage and no node has that name.
        """
        known = {"all", *(node.name for node in pipeline.nodes), *map(stage_of, pipeline.nodes)}
        if unknown := sorted(self._force - known):
            stages = dict.fromkeys(stage_of(node) for node in pipeline.nodes)
            raise ParameterError(
                f"--force {unknown[0]}: no stage of this run has that name; use all, or {', '.join(stages)}."
            )


class _Run:
    """What belongs to one call of the runner."""

    def __init__(
        self, pipeline: Pipeline, catalog: Any, hook_manager: Any, run_id: str | None, planner: Planner
    ) -> None:
        self.pipeline, self.catalog, self.hook_manager = pipeline, catalog, hook_manager
        self.run_id, self.planner = run_id, planner
        self.producers: dict[str, Node] = {name: node for node in pipeline.nodes for name in node.outputs}


def _foreseen(decision: Decision) -> str:
    if decision.action == "current":
        return "current"
    if decision.action == "take back" and decision.record:
        return f"would take back version {decision.record.version}: {decision.reason}"
    return f"{'would' if decision.certain else 'may'} run: {decision.reason}"


def _whole_pipeline() -> Pipeline:
    """All stages of the project; nothing outside of one."""
    from kedro.framework.project import pipelines

    try:
        return pipelines.get("__default__") or Pipeline([])
    except Exception:  # there is no project: the runner is used by itself
        return Pipeline([])
