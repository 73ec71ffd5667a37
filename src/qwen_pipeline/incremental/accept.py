"""Keep today's outputs although the code changed: a refactoring that changes no result."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from qwen_pipeline.errors import AcceptRefusedError
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.plan import Decision, Planner
from qwen_pipeline.incremental.reasons import Change


def accept_nodes(nodes: Iterable[Any], planner: Planner, ledger: Ledger) -> list[Decision]:
    """Record that the newest version of each node stands for what is asked now.

    Changes of code and libraries are accepted, and parameters that were added or dropped. The earlier
    fingerprint stays valid, so that undoing the refactoring reruns nothing either.

    Args:
        nodes: The nodes of a stage.
        planner: Knows why each is stale.
        ledger: The project's records.

    Returns:
        What was accepted; nodes that are current are left out.

    Raises:
        AcceptRefusedError: A value, an input or an output changed, or there is nothing to keep.
    """
    stale = [one for one in map(planner.decide, nodes) if one.action != "current"]
    for decision in stale:
        _require_acceptable(decision)
    for decision in stale:
        record = ledger.records(decision.node)[0]
        earlier = tuple(dict.fromkeys((*record.accepted, record.depends.fingerprint)))
        ledger.rewrite(replace(record, depends=decision.depends, accepted=earlier))
    return stale


def _require_acceptable(decision: Decision) -> None:
    for change in decision.changes:
        if not _is_acceptable(change):
            raise AcceptRefusedError(
                f"{decision.node} cannot be accepted: {change.words}. Only changes of code and libraries, and "
                "parameters that were added or dropped, can; undo this one, or run the stage."
            )


def _is_acceptable(change: Change) -> bool:
    if change.kind == "parameters":
        return change.old is None or change.new is None
    return change.kind in ("code", "libraries")
