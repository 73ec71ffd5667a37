"""Runs of a node that did not end: what was confirmed once goes on without asking, and its time counts."""

import time
from typing import Any

from qwen_pipeline.incremental.ledger import Ledger


class Attempts:
    """Attempts by node, one at a time, each under its fingerprint."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def was_begun(self, node: str, fingerprint: str) -> bool:
        """Whether the very same work was begun and did not end."""
        return self._known(node, fingerprint) is not None

    def begin(self, node: str, fingerprint: str) -> None:
        """A node starts, or goes on with what an attempt of the same fingerprint left."""
        now = time.time()
        known = self._known(node, fingerprint)
        spent = 0.0
        if known:  # of a killed attempt only the latest possible end is known: ask rather than not
            killed_after = max(0.0, now - float(known["started"]))  # the clock may have been set back since
            spent = float(known["spent"]) + (0.0 if known["stopped"] else killed_after)
        content = {"fingerprint": fingerprint, "started": now, "spent": spent, "stopped": False}
        self._ledger.note_attempt(node, content)

    def stopped(self, node: str, seconds: float) -> None:
        """A node ended with an error or was interrupted."""
        content = self._ledger.attempt(node)
        if content:
            spent = float(content["spent"]) + seconds
            self._ledger.note_attempt(node, {**content, "spent": spent, "stopped": True})

    def seconds(self, node: str, seconds: float) -> float:
        """What a node took in all, given what its last attempt took."""
        content = self._ledger.attempt(node)
        return seconds + (float(content["spent"]) if content else 0.0)

    def end(self, node: str) -> None:
        """A node is done."""
        self._ledger.note_attempt(node, None)

    def _known(self, node: str, fingerprint: str) -> dict[str, Any] | None:
        content = self._ledger.attempt(node)
        return content if content and content.get("fingerprint") == fingerprint else None
