"""bitsandbytes really quantising a tensor (S6)."""

from collections.abc import Iterator
from typing import Any

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok
from qwen_pipeline.doctor.quantise_apart import QuantiseApart

ORDER = 40
INSTALL = '-m pip install --force-reinstall accelerate "bitsandbytes>=0.50,<0.51"'
LARGEST_ERROR = 0.2  # relative; NF4 of normal values errs by about 0.09


def check(inspection: Inspection) -> Iterator[Finding]:
    """Quantise a tensor to NF4 in a process of its own and judge what comes back."""
    install = f"{inspection.program('python')} {INSTALL}"
    with inspection.quantise or QuantiseApart() as process:
        yield judge(process.found(), install)


def judge(found: dict[str, Any], install: str) -> Finding:
    """One finding from what came of it.

    Args:
        found: As `doctor.quantise.quantise` returns it.
        install: The command that installs the right libraries.
    """
    if "failure" in found:
        return error("4-bit", found["failure"], found.get("remedy", install))
    version, device, relative = found["version"], found["device"], found["relative_error"]
    if not relative <= LARGEST_ERROR:
        fact = f"NF4 on {device} comes back {relative:.0%} off; bitsandbytes is broken here"
        return error("4-bit", fact, install)
    return ok(
        "4-bit",
        f"bitsandbytes {version} quantises on {device} (rounding error {relative:.1%}, as 4 bits have)",
    )
