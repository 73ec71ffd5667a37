"""What a check is given and what it answers."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from qwen_pipeline.doctor.quantise_apart import QuantiseApart
from qwen_pipeline.model.source import DEMO, ModelSource


class State(StrEnum):
    """How bad a finding is; the worst one decides the exit code."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Attributes:
        check: The check's name, one or two words.
        state: Whether a run can go on.
        fact: What was seen, with its values.
        remedy: The command or parameter that helps; empty when nothing is wrong.
    """

    check: str
    state: State
    fact: str
    remedy: str = ""


@dataclass(frozen=True)
class Inspection:
    """What the checks look at: the project, its validated parameters and the machine.

    Attributes:
        project_path: The project's root.
        groups: Validated parameters, by stage and name.
        system: ``platform.system()``; a test puts another one in.
        python_version: The running Python's version.
        quantise: The 4-bit check's process, started earlier; without one the check starts its own.
    """

    project_path: Path
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    system: str = field(default_factory=platform.system)
    python_version: tuple[int, int] = field(default_factory=lambda: sys.version_info[:2])
    quantise: QuantiseApart | None = None

    def parameter(self, name: str, default: Any = None) -> Any:
        """A parameter's value, from the first stage that has it."""
        for group in self.groups.values():
            if name in group:
                return group[name]
        return default

    def model(self) -> ModelSource:
        """The base model that the parameters name; a relative folder is the project's."""
        name = str(self.parameter("model_name", DEMO))
        here = self.project_path / Path(name).expanduser()
        return ModelSource(str(here) if name != DEMO and here.is_dir() else name)

    def path_of(self, name: str) -> Path:
        """A path of a parameter, relative ones from the project's root."""
        return self.project_path / Path(name).expanduser()

    def program(self, name: str) -> str:
        """How a program of the project's environment is called on this platform."""
        return rf".venv\Scripts\{name}.exe" if self.system == "Windows" else f".venv/bin/{name}"


def ok(check: str, fact: str) -> Finding:
    """A finding that nothing is wrong."""
    return Finding(check, State.OK, fact)


def warning(check: str, fact: str, remedy: str) -> Finding:
    """A finding that a run survives."""
    return Finding(check, State.WARNING, fact, remedy)


def error(check: str, fact: str, remedy: str) -> Finding:
    """A finding that a run would fail on."""
    return Finding(check, State.ERROR, fact, remedy)
