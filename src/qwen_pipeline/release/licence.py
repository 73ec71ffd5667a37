"""Under which terms the base model may be passed on; an export stands under the same."""

import re
from dataclasses import dataclass
from pathlib import Path

from qwen_pipeline.model.source import ModelSource

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADINGS = {"apache license": "apache-2.0", "mit license": "mit"}
# Source: the licence of every open Qwen3 and Qwen2.5-Instruct model card of these sizes.
_KNOWN = re.compile(r"Qwen3(?:-[\d.]+B(?:-A\d+B)?)?(?:-Base|-Thinking-\d+|-Instruct-\d+)?")


@dataclass(frozen=True)
class Licence:
    """What is known of a licence.

    Attributes:
        name: Its identifier, None where nothing tells it.
        file: Its text, where the base model brings one.
    """

    name: str | None
    file: Path | None


def find_licence(source: ModelSource) -> Licence:
    """Look where model folders tell their licence: the model card, the licence file, the model's own name.

    Args:
        source: The base model.
    """
    folder = source.directory()
    file = next((path for path in sorted(folder.glob("LICEN[SC]E*")) if path.is_file()), None)
    return Licence(_in_card(folder / "README.md") or _of_file(file) or _of_name(source), file)


def _in_card(path: Path) -> str | None:
    if not path.is_file():
        return None
    front = _FRONT_MATTER.match(path.read_text(encoding="utf-8", errors="replace"))
    found = re.search(r"^license:[ \t]*(\S+)", front[1], re.MULTILINE) if front else None
    return found[1].strip("\"'") if found else None


def _of_file(path: Path | None) -> str | None:
    if path is None:
        return None
    beginning = path.read_text(encoding="utf-8", errors="replace")[:500].lower()
    return next((name for heading, name in _HEADINGS.items() if heading in beginning), None)


def _of_name(source: ModelSource) -> str | None:
    if source.kind == "demo":
        return "apache-2.0"  # built here, from this project's own texts
    return "apache-2.0" if _KNOWN.fullmatch(Path(source.name).name) else None
