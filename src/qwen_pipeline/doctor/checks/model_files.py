"""The base model: is it whole, and is its architecture one that is trained here (S4, S5)?"""

import os
from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok, warning
from qwen_pipeline.doctor.machine import GIB
from qwen_pipeline.errors import ModelSourceError, PipelineError, UnsupportedModelError
from qwen_pipeline.model.local_files import check_directory, weight_files
from qwen_pipeline.model.source import ModelSource

ORDER = 53
TRAINED = "model_name=Qwen/Qwen3-4B-Thinking-2507, or another Qwen3, Qwen2 or Llama model"


def check(inspection: Inspection) -> Iterator[Finding]:
    """Look at the folder, or at what the hub cache holds already; nothing is loaded or downloaded."""
    source = inspection.model()
    try:
        kind = source.kind
    except ModelSourceError as failure:
        yield error("model", str(failure), "model_name=demo, a folder that exists, or owner/name")
        return
    if kind == "demo":
        yield ok("model", "demo: built on this machine")
    elif kind == "directory":
        yield judge_folder(inspection.path_of(source.name), inspection)
    else:
        yield judge_cache(source, inspection)


def judge_folder(folder: Path, inspection: Inspection) -> Finding:
    """Whether a folder holds a whole model of a known architecture; ModelScope's folders are such folders."""
    try:
        check_directory(folder)
    except UnsupportedModelError as failure:
        return error("model", str(failure), TRAINED)
    except PipelineError as failure:
        return error("model", str(failure), _remedy(str(failure), folder, inspection))
    except OSError as failure:
        return error("model", f"{folder} cannot be read: {failure.strerror}", f"chmod -R u+rX {folder}")
    files = weight_files(folder)
    total = sum(path.stat().st_size for path in files)
    return ok("model", f"{folder.name}: whole, {len(files)} weight file(s), {total / GIB:.1f} GiB")


def judge_cache(source: ModelSource, inspection: Inspection) -> Finding:
    """What of a hub model is on this disk; the rest is downloaded by the next run."""
    folder = cache_folder(source.name)
    snapshots = sorted((folder / "snapshots").glob("*/config.json"))
    for config in snapshots:
        finding = judge_folder(config.parent, inspection)
        if finding.state == "ok":
            return ok("model", f"{source.name}: whole in the hub cache")
        if "architecture" in finding.fact or "quantised" in finding.fact:
            return finding
    partial = sum(path.stat().st_size for path in folder.glob("blobs/*.incomplete"))
    fetch = f"{inspection.program('hf')} download {source.name}"
    if _offline():
        return error(
            "model", f"{source.name} is not whole in the hub cache, and HF_HUB_OFFLINE is set",
            f"unset HF_HUB_OFFLINE, then: {fetch}",
        )  # fmt: skip
    if partial or snapshots:
        fact = (
            f"{source.name} is downloaded in part ({partial / GIB:.1f} GiB open); the next run goes on there"
        )
        return warning("model", fact, fetch)
    return ok("model", f"{source.name}: the first run downloads it")


def is_remote(source: ModelSource) -> bool:
    """Whether a model name is a hub id rather than the demo, a folder or a mistake."""
    try:
        return source.kind == "hub"
    except ModelSourceError:
        return False


def cache_folder(name: str) -> Path:
    """Where the hub client keeps a model.

    Source: huggingface_hub, "Understand caching" (``HF_HUB_CACHE``, else ``HF_HOME/hub``).
    """
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    cache = os.environ.get("HF_HUB_CACHE") or Path(home, "hub")
    return Path(cache).expanduser() / f"models--{name.replace('/', '--')}"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _remedy(message: str, folder: Path, inspection: Inspection) -> str:
    if "git-LFS pointer" in message:
        return f"git -C {folder} lfs install && git -C {folder} lfs pull"
    if "GGUF" in message:
        return TRAINED
    return f"{inspection.program('hf')} download Qwen/{folder.name} --local-dir {folder}, or model_name=demo"
