"""A small Kedro project of three stages, with real datasets and the real runner, that runs in milliseconds."""

import importlib
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from qwen_pipeline.incremental.plan import Decision
from qwen_pipeline.incremental.runner import IncrementalRunner

NUMBERS = itertools.count(1)

NODES = '''
"""Nodes of the toy."""
import logging

from {package}.helper import refine_text
from {package}.formats.registry import readers
from {package}.settings import RefineParameters, ReadParameters

logger = logging.getLogger(__name__)
calls = []


def read(raw_files, parameters):
    """Read every file."""
    calls.append("read")
    known = readers()
    texts = {{name: known["text"](file()) for name, file in raw_files.items()}}
    return [text[: parameters.longest] for _, text in sorted(texts.items())], {{"files": len(texts)}}


def refine(texts, parameters):
    calls.append("refine")
    return [refine_text(text) + parameters.ending for text in texts], {{"timing": {{"seconds": len(calls)}}}}


def report(refined, parameters):
    calls.append("report")
    return {{"total": len(refined), "title": parameters["title"]}}
'''
HELPER = '"""Help."""\nfrom {package}.deeper import lower\n\n\ndef refine_text(text):\n    return lower(text).strip()\n'
DEEPER = "def lower(text):\n    return text.lower()\n"
UNRELATED = "def nothing():\n    return 1\n"
REGISTRY = """
import importlib
import pkgutil

from {package} import formats


def readers():
    found = {{}}
    for info in pkgutil.iter_modules(formats.__path__):
        module = importlib.import_module(f"{{formats.__name__}}.{{info.name}}")
        if hasattr(module, "read"):
            found[info.name] = module.read
    return found
"""
TEXT = "def read(data):\n    return data.decode()\n"
SETTINGS = """
from pydantic import Field
from qwen_pipeline.params.fields import StageParameters, run_time


class ReadParameters(StageParameters):
    longest: int = Field(100, ge=1, description="Characters.")
    workers: int = run_time(1, ge=1)


class RefineParameters(StageParameters):
    ending: str = "."
"""


class Toy:
    """The project's folder, and how to run it.

    Attributes:
        root: The project.
        values: Parameters by stage.
        calls: Nodes that the last run executed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = f"toy{next(NUMBERS)}"
        self.source = root / "src" / self.package
        self.values: dict[str, dict[str, Any]] = {"read": {}, "refine": {}, "report": {"title": "t"}}
        self.calls: list[str] = []
        (root / "data/01_raw").mkdir(parents=True)
        (root / "pyproject.toml").write_text("[tool.kedro]\n")
        self.write("raw a.txt", "Alpha ")
        self.write("raw b.txt", "Beta ")
        for name, text in {
            "__init__.py": "", "nodes.py": NODES, "helper.py": HELPER, "deeper.py": DEEPER, "settings.py": SETTINGS,
            "unrelated.py": UNRELATED, "formats/__init__.py": "", "formats/registry.py": REGISTRY, "formats/text.py": TEXT,
        }.items():  # fmt: skip
            self.code(name, text.format(package=self.package))

    @classmethod
    def opened(cls, root: Path, package: str) -> "Toy":
        """A toy that another process made."""
        toy = cls.__new__(cls)
        toy.root, toy.package, toy.source = root, package, root / "src" / package
        toy.values = {"read": {}, "refine": {}, "report": {"title": "t"}}
        toy.calls = []
        return toy

    def write(self, name: str, text: str) -> Path:
        """Write a raw file, ``raw NAME``."""
        path = self.root / "data/01_raw" / name.removeprefix("raw ")
        path.write_text(text)
        return path

    def code(self, name: str, text: str) -> None:
        """Write a source file."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a source file."""
        text = (self.source / name).read_text()
        assert old in text
        (self.source / name).write_text(text.replace(old, new))

    def catalog(self, load_versions: dict[str, str] | None = None) -> DataCatalog:
        """A fresh catalog, as a new process would have it."""
        place = "qwen_pipeline.datasets"
        kept = {
            "type": f"{place}.versioned.AtomicFileDataset",
            "dataset": {"type": "json.JSONDataset"},
            "versioned": True,
        }
        names = ("texts", "account", "refined", "pace", "summary")
        config = {name: {**kept, "filepath": str(self.folder(name))} for name in names}
        config["raw_files"] = {
            "type": f"{place}.raw_files.RawFilesDataset",
            "path": str(self.root / "data/01_raw"),
            "sample_path": str(self.root / "data/sample"),
        }
        catalog = DataCatalog.from_config(config, load_versions=load_versions, save_version=_version())
        settings = self._module("settings")
        catalog["params:read"] = settings.ReadParameters(**self.values["read"])
        catalog["params:refine"] = settings.RefineParameters(**self.values["refine"])
        catalog["params:report"] = self.values["report"]
        return catalog

    def pipeline(self) -> Pipeline:
        """The three stages, each a namespace, from the source as it is now."""
        nodes = self._module("nodes")
        stages = {
            "read": node(nodes.read, ["raw_files", "params:read"], ["texts", "account"], name="read_files"),
            "refine": node(
                nodes.refine, ["texts", "params:refine"], ["refined", "pace"], name="refine_texts"
            ),
            "report": node(nodes.report, ["refined", "params:report"], "summary", name="write_report"),
        }
        whole = Pipeline([])
        for stage, one in stages.items():
            whole += Pipeline([one], namespace=stage, prefix_datasets_with_namespace=False, tags=stage)
        return whole

    def run(
        self, choose: Callable[[Pipeline], Pipeline] = lambda p: p, load_versions: dict[str, str] | None = None, **options: Any
    ) -> list[str]:  # fmt: skip
        """One `kedro run`; returns the nodes that were executed."""
        self.forget()
        pipeline = choose(self.pipeline())
        calls = self._module("nodes").calls
        calls.clear()
        try:
            IncrementalRunner(**options).run(pipeline, self.catalog(load_versions), _NullPluginManager())
        finally:
            self.calls = list(calls)
        return self.calls

    def status(self, verify: bool = False) -> dict[str, Decision]:
        """What `kedro status` sees, by stage."""
        self.forget()
        runner = IncrementalRunner()
        decisions = runner.plan(self.catalog(), verify).foresee(self.pipeline().nodes)
        return {one.node.partition(".")[0]: one for one in decisions}

    def states(self) -> dict[str, str]:
        """Each stage's action, as `kedro run --dry-run` foresees it."""
        return {
            stage: one.action if one.certain else f"may {one.action}" for stage, one in self.status().items()
        }

    def load(self, name: str) -> Any:
        """What the catalog serves."""
        return self.catalog().load(name)

    def folder(self, name: str) -> Path:
        """Folder of a dataset's versions."""
        return self.root / "data/02_made" / f"{name}.json"

    def versions(self, name: str) -> list[str]:
        """Its versions, oldest first."""
        return sorted(path.name for path in self.folder(name).glob("[!.]*"))

    def file(self, name: str) -> Path:
        """The data file of the newest version."""
        return self.folder(name) / self.versions(name)[-1] / f"{name}.json"

    def forget(self) -> None:
        """Drop the imported package, as a new process would not have it."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.package]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")


def _version() -> str:
    """A version's name like Kedro's, each later than the one before."""
    return f"2026-01-01T{time.time_ns():020d}Z"
