"""The adapters, found in this folder: a new format is one file with one decorated function.

An adapter takes a ``Content`` and returns the rows in it, or None where the content is not of its kind. So what
a file is called decides nothing; an extension only lets its adapter look first. `formats` tells the whole order.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from qwen_pipeline.text import formats
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Result, Row
from qwen_pipeline.text.formats.single_turns import join_turns

Reader = Callable[[Content], Iterator[Row] | None]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A reader with its place in the order of asking (smaller first) and the extensions of its kind."""

    read: Reader
    suffixes: tuple[str, ...]
    order: int


def adapter(*suffixes: str, order: int) -> Callable[[Reader], Reader]:
    """Mark a function as the reader of a format.

    Args:
        *suffixes: Extensions that files of this format usually have, with the dot.
        order: Readers of stricter formats have smaller numbers and look first.
    """

    def mark(read: Reader) -> Reader:
        read.__dict__["adapter"] = Adapter(read, suffixes, order)
        return read

    return mark


@cache
def all_adapters() -> tuple[Adapter, ...]:
    """Every adapter of this folder, strictest first."""
    found = []
    for module_info in pkgutil.iter_modules(formats.__path__):
        module = importlib.import_module(f"{formats.__name__}.{module_info.name}")
        for value in vars(module).values():
            mark = getattr(value, "adapter", None)
            if isinstance(mark, Adapter) and value.__module__ == module.__name__:
                found.append(mark)
    return tuple(sorted(found, key=lambda one: (one.order, one.suffixes)))


def rows_of(content: Content) -> Iterator[Result] | None:
    """The rows of a file by the first adapter that knows its content, single turns joined; None if nobody does."""
    by_name = sorted(all_adapters(), key=lambda one: content.suffix not in one.suffixes)
    for one in by_name:
        rows = one.read(content)
        if rows is not None:
            return join_turns(rows, content.speakers, content.tool_turns)
    return None
