"""Versions of the installed libraries that may change a node's result: those its code imports."""

import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

IRRELEVANT = {
    "kedro",
    "kedro_datasets",
    "kedro_viz",
    "mlflow",
    "psutil",
    "pydantic",
    "pynvml",
    "rich",
    "tqdm",
}
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "PyYAML", "sklearn": "scikit-learn", "cv2": "opencv-python"}
BROUGHT = {  # what decides a library's result besides its own version
    "transformers": ("tokenizers", "torch"),
    "peft": ("transformers", "torch"),
    "accelerate": ("torch",),
    "bitsandbytes": ("torch",),
    "datasets": ("pyarrow",),
    "jinja2": ("markupsafe",),
}


def library_versions(imported: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution.

    Args:
        imported: Names of top-level modules that code imports, standard library excluded.

    Returns:
        Versions, ``missing`` for a library that is not installed, and Python's own.
    """
    names = set(imported) - IRRELEVANT
    names |= {brought for name in names for brought in BROUGHT.get(name, ())}
    found = {DISTRIBUTIONS.get(name, name): _version(DISTRIBUTIONS.get(name, name)) for name in names}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **dict(sorted(found.items()))}


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"
