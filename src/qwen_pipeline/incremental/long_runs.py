"""A node whose last run was long is not run again by mistake: somebody is asked first, with the reason."""

import sys

from qwen_pipeline.errors import LongRunRefusedError
from qwen_pipeline.incremental.attempts import Attempts
from qwen_pipeline.incremental.plan import Decision

LONG_SECONDS = 600.0


def confirm_long_run(decision: Decision, attempts: Attempts) -> None:
    """Ask before a node whose last run was long runs again; one that was begun was confirmed then.

    Args:
        decision: To run it, and why.
        attempts: Runs that did not end.

    Raises:
        LongRunRefusedError: The user declined, or there is nobody to ask.
    """
    record = decision.record
    if record is None or record.seconds < LONG_SECONDS:
        return
    if attempts.was_begun(decision.node, decision.depends.fingerprint):
        return
    told = (
        f"{decision.node} took {record.seconds / 60:.0f} minutes last time and would run again, "
        f"because {decision.reason}."
    )
    if sys.stdin.isatty() and input(f"{told} Run it? [y/N] ").strip().lower() in ("y", "yes"):
        return
    raise LongRunRefusedError(
        f"{told} Add --yes to run it, repeat the --params it was made with, "
        f"or keep it after a refactoring with kedro accept {decision.node.partition('.')[0]}."
    )
