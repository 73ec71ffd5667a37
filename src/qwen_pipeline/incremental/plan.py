"""What to do with each node: nothing, take an equal version back, or run it, and why."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from qwen_pipeline.incremental.depends import MISSING, DependencyReader, digest_of_dataset
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.reasons import Change, changes_between, in_words
from qwen_pipeline.incremental.record import Depends, Record

Action = Literal["current", "take back", "run"]


@dataclass(frozen=True)
class Decision:
    """What to do with one node.

    Attributes:
        node: Its name.
        action: ``current``, ``take back`` (an older version answers to what is asked now) or ``run``.
        changes: Why it is not current.
        depends: What it depends on now.
        record: The version that is current or is taken back; for ``run`` the newest there is.
        certain: False where an identical output upstream could still stop the wave.
    """

    node: str
    action: Action
    changes: tuple[Change, ...]
    depends: Depends
    record: Record | None = None
    certain: bool = True

    @property
    def reason(self) -> str:
        """Why, in words."""
        return in_words(list(self.changes))


class Planner:
    """Decides from records and from what is on disk.

    Args:
        ledger: The project's records.
        reader: Reads what nodes depend on.
        force: ``all``, stages and nodes that run whether current or not.
        verify: Read every byte of outputs instead of trusting size, time and inode.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: DependencyReader,
        force: Iterable[str] = (),
        verify: bool = False,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._catalog = reader.catalog
        self._force = set(force)
        self._verify = verify
        self._damaged: dict[tuple[str, str], str] = {}

    def decide(self, node: Any) -> Decision:
        """What to do with a node whose inputs are as they are on disk."""
        depends = self._reader.read(node)
        records = self._ledger.records(node.name)
        newest = records[0] if records else None
        if self._force & {"all", stage_of(node), node.name}:
            return Decision(node.name, "run", (Change("run", node.name, "it was forced"),), depends, newest)
        changes: list[Change] = []
        answering = [one for one in records if one.answers_to(depends.fingerprint)]
        if newest is not None and newest in answering:
            problem = self._problem(node, newest)
            if problem is None:
                return Decision(node.name, "current", (), depends, newest)
            changes.append(problem)
        elif newest is None:
            changes.append(Change("run", node.name, "it has not run yet"))
        else:
            changes += changes_between(newest.depends, depends, self._reader.label)
        for record in answering:
            if node.outputs and self._is_whole(node, record):
                return Decision(node.name, "take back", tuple(changes), depends, record)
        return Decision(node.name, "run", tuple(changes), depends, newest)

    def foresee(self, nodes: Iterable[Any]) -> list[Decision]:
        """What a run would do with each node, without running any."""
        waits: dict[str, str] = {}
        decisions = []
        for node in nodes:
            decision = self.decide(node)
            uncertain = [name for name in node.inputs if name in waits]
            if uncertain and decision.action != "run":
                name = uncertain[0]
                words = f"input `{name}` may change: {waits[name]} is to run"
                change = Change("inputs", name, words)
                decision = Decision(node.name, "run", (change,), decision.depends, decision.record, False)
            if decision.action == "run":
                waits |= dict.fromkeys(node.outputs, node.name)
            elif decision.record and decision.action == "take back":
                self._reader.assumed |= {n: o.digest for n, o in decision.record.outputs.items()}
            decisions.append(decision)
        return decisions

    def after_run(self, node: Any, decision: Decision) -> Decision:
        """The decision with what the node read, where a file changed meanwhile."""
        return replace(decision, depends=self._reader.read_again(node, decision.depends))

    def read_code(self, node: Any) -> None:
        """Take a node's code as it is now."""
        self._reader.read_code(node)

    def mark_damaged(self, dataset: str, version: str, words: str) -> None:
        """Never count or take back a version whose bytes were found to be wrong."""
        self._damaged[dataset, version] = words

    def _problem(self, node: Any, record: Record) -> Change | None:
        """Why a record that answers to the fingerprint is not what would be loaded."""
        for name in node.outputs:
            words = self._wrong_with(name, record)
            if words is None and hasattr(self._catalog[name], "newest_version"):
                words = self._shadowed(name, record)
            if words is not None:
                return Change("output", name, f"output `{name}` {words}")
        return None

    def _is_whole(self, node: Any, record: Record) -> bool:
        versioned = all(hasattr(self._catalog[name], "newest_version") for name in node.outputs)
        return versioned and not any(self._wrong_with(name, record) for name in node.outputs)

    def _wrong_with(self, name: str, record: Record) -> str | None:
        dataset, output = self._catalog[name], record.outputs.get(name)
        if getattr(dataset, "_EPHEMERAL", False):
            return "is not kept"
        if output is None:
            return "is new"
        if not hasattr(dataset, "newest_version"):
            digest = digest_of_dataset(dataset)
            return None if digest == output.digest else "is missing" if digest == MISSING else "was changed"
        if known := self._damaged.get((name, output.version)):
            return known
        problem: str | None = dataset.damage(output.version, verify=self._verify)
        if problem is None and dataset.digest(output.version) != output.digest:
            return "is missing" if dataset.digest(output.version) is None else "is damaged: its seal changed"
        return problem

    def _shadowed(self, name: str, record: Record) -> str | None:
        """A newer version than the record's that is not the same."""
        dataset, output = self._catalog[name], record.outputs[name]
        newest = dataset.newest_version()
        if known := self._damaged.get((name, newest)):
            return known
        if newest == output.version or digest_of_dataset(dataset, newest) == output.digest:
            return None
        return f"has a newer version {newest} of something else"


def stage_of(node: Any) -> str:
    """The stage of a node: its namespace, or its own name outside of one."""
    return str(node.namespace or node.name).partition(".")[0]
