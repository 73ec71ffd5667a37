"""Why a node runs, in words, with the old and the new value."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwen_pipeline.incremental.record import KINDS, Depends

ABSENT = object()
LONGEST_VALUE = 60


@dataclass(frozen=True)
class Change:
    """One difference between a record and now.

    Attributes:
        kind: ``parameters``, ``inputs``, ``code`` or ``libraries``; ``output`` or ``run`` for what is
            not a dependency.
        name: What changed.
        words: The change as a person reads it.
        old: Value or digest then; ``None`` where there was none.
        new: Value or digest now.
    """

    kind: str
    name: str
    words: str
    old: Any = None
    new: Any = None


def changes_between(before: Depends, now: Depends, label: Callable[[str], str] = str) -> list[Change]:
    """Every difference, parameters first.

    Args:
        before: What the recorded version depended on.
        now: What the node depends on now.
        label: Gives the readable name of an input, such as a file's path.
    """
    found = []
    for kind in KINDS:
        old, new = getattr(before, kind), getattr(now, kind)
        for name in sorted({*old, *new}):
            was, is_now = old.get(name, ABSENT), new.get(name, ABSENT)
            if was != is_now:
                words = _words(kind, label(name) if kind == "inputs" else name, was, is_now)
                found.append(Change(kind, name, words, _plain(was), _plain(is_now)))
    return found


def in_words(changes: list[Change]) -> str:
    """The first change, and how many more there are."""
    if not changes:
        return ""
    others = len(changes) - 1
    return changes[0].words + (f" (and {others} more change{'s' if others > 1 else ''})" if others else "")


def _words(kind: str, name: str, was: Any, is_now: Any) -> str:
    if kind == "parameters":
        if was is ABSENT:
            return f"`{name}` is new: {_value(is_now)}"
        return f"`{name}` {_value(was)} " + ("is gone" if is_now is ABSENT else f"→ {_value(is_now)}")
    if kind == "libraries":
        return f"library `{name}` {_value(was)} → {_value(is_now)}"
    what = "is new" if was is ABSENT else "is gone" if is_now is ABSENT else "changed"
    if kind == "code":
        return f"code of `{name}` {what}"
    return f"`{name}` {what}" if "/" in name else f"input `{name}` {what}"


def _value(value: Any) -> str:
    if value is ABSENT:
        return "not used"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value
