"""The order in which readers are tried is the one that the folder's own page tells."""

import pkgutil
import re

from qwen_pipeline.text import formats
from qwen_pipeline.text.formats.registry import all_adapters


def test_the_adapters_and_their_order_are_those_that_the_page_names() -> None:
    told = re.findall(r"(\w+) \((\d+)\)", formats.__doc__ or "")
    assert told == [(one.read.__module__.rpartition(".")[2], str(one.order)) for one in all_adapters()]


def test_every_module_that_the_page_names_is_there() -> None:
    there = {module.name for module in pkgutil.iter_modules(formats.__path__)}
    assert set(re.findall(r"(?<!`)`(\w+)`(?!`)", formats.__doc__ or "")) <= there
