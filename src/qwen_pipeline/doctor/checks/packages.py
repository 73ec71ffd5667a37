"""Installed packages against the pinned ones (S14)."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.markers import Marker

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning

ORDER = 20
INSTALL = "make setup"
INSTALL_WINDOWS = (
    r".venv\Scripts\uv pip install --python .venv --no-deps --require-hashes -r requirements.lock"
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.\-]+)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+))?")
ESSENTIAL = frozenset(
    {
        "accelerate", "bitsandbytes", "datasets", "kedro", "kedro-datasets", "mlflow", "peft", "pyarrow",
        "pydantic", "safetensors", "tokenizers", "torch", "transformers",
    }
)  # fmt: skip


def check(inspection: Inspection) -> Iterator[Finding]:
    """Tell which pinned packages are missing or of another version."""
    pins = {**read_pins(inspection.project_path / "requirements.lock"),
            **read_pins(inspection.project_path / "requirements-torch.txt")}  # fmt: skip
    if not pins:
        yield warning("packages", "requirements.lock is missing or empty", "git checkout requirements.lock")
        return
    missing, different = compare(pins)
    install = INSTALL_WINDOWS if inspection.system == "Windows" else INSTALL
    if not missing and not different:
        yield ok("packages", f"{len(pins)} packages as pinned")
    if missing:
        severe = error if ESSENTIAL & set(missing) else warning
        yield severe("packages", f"not installed: {', '.join(missing)}", install)
    if different:
        shown = ", ".join(f"{name} {have} instead of {want}" for name, (have, want) in different.items())
        severe = error if ESSENTIAL & set(different) else warning
        yield severe("packages", f"other versions than pinned: {shown}", install)


def read_pins(path: Path) -> dict[str, str]:
    """Pinned versions by name, as far as their markers apply to this machine."""
    if not path.is_file():
        return {}
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = PIN.match(line)
        if found and (not found["marker"] or Marker(found["marker"].strip()).evaluate()):
            pins[found["name"].lower()] = found["version"]
    return pins


def compare(pins: dict[str, str]) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Names that are missing, and ``name: (installed, pinned)`` of those that differ."""
    missing, different = [], {}
    for name, wanted in pins.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if installed.partition("+")[0] != wanted.partition("+")[0]:
            different[name] = (installed, wanted)
    return missing, different
