"""The torch build against the driver and the card (S14)."""

from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.doctor.machine import NvidiaDriver, TorchBuild, read_driver, read_torch_build

ORDER = 30

# Oldest Linux driver for each major CUDA version.
# Source: NVIDIA CUDA Toolkit release notes, "CUDA Toolkit and Minimum Required Driver Version".
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
OLDEST_CAPABILITY = (7, 5)  # Source: torch 2.13 CUDA 13 builds start at Turing (sm_75)

UPDATE = {
    "Linux": "sudo apt update && sudo apt install nvidia-driver-580, then restart",
    "Windows": "install the newest driver from NVIDIA's site, then restart",
}


def check(inspection: Inspection) -> Iterator[Finding]:
    """Judge the pair of torch build and driver."""
    yield judge(read_torch_build(), read_driver(), inspection.system)


def judge(build: TorchBuild | None, driver: NvidiaDriver | None, system: str) -> Finding:
    """One finding from what was read, so that a test can put any machine in.

    Args:
        build: What torch says of itself, ``None`` where it is not installed.
        driver: What NVML says of the first card, ``None`` without driver or card.
        system: ``platform.system()``.
    """
    if build is None:
        return error("cuda", "torch is not installed", "make setup")
    if build.hip is not None:
        fact = (
            f"torch {build.version} is built for AMD's ROCm {build.hip}, on which this project is not tested"
        )
        return warning(
            "cuda", fact, "rm -rf .venv && make setup, on an index that serves torch's CUDA or CPU build"
        )
    if driver is None:
        fact = f"torch {build.version}; no NVIDIA driver or card: training runs on the CPU"
        return ok("cuda", fact) if build.cuda is None else warning("cuda", fact, "nvidia-smi")
    card = f"{driver.card} with driver {driver.version}"
    if build.cuda is None:
        return warning(
            "cuda", f"{card}, but torch {build.version} is a CPU build",
            "rm -rf .venv && make setup, on an index that serves torch's CUDA build",
        )  # fmt: skip
    oldest = OLDEST_DRIVER.get(build.cuda[0], 0)
    if driver.major < oldest:
        fact = f"{card} is too old: torch {build.version} for CUDA {build.cuda[0]} needs {oldest} or newer"
        return error("cuda", fact, UPDATE.get(system, "update the NVIDIA driver"))
    if driver.capability and driver.capability < OLDEST_CAPABILITY:
        return error(
            "cuda", f"{card}: compute capability {driver.capability} is below 7.5", "use a newer card"
        )
    several = f"; num_processes={driver.cards} trains on all {driver.cards} cards" if driver.cards > 1 else ""
    return ok("cuda", f"{card}, torch {build.version} for CUDA {build.cuda[0]}.{build.cuda[1]}{several}")
