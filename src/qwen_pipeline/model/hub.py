"""A model from a hub: download that goes on after an interruption, and an error that names the ways out.

``HF_ENDPOINT`` (a mirror), ``HTTPS_PROXY`` (a proxy) and ``HF_HUB_OFFLINE`` are read by the client
library. The first download fixes the commit: later runs use the same one although the branch moves on,
until the cache is deleted or ``revision`` is set.
"""

import os
from pathlib import Path

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.local_files import check_directory
from qwen_pipeline.model.resumable import fetch_weights

_SMALL_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "LICENSE*", "README.md"]
_WEIGHT_FILES = ["*.safetensors"]
_OLD_WEIGHT_FILES = ["pytorch_model*.bin"]
_MARKS = ("config.json", "tokenizer_config.json", "generation_config.json")
_ATTEMPTS = 3


def download(name: str, revision: str | None, weights: bool) -> Path:
    """Download a model's files into the hub cache, or find them there.

    Args:
        name: Hub id, ``owner/name``.
        revision: Branch, tag or commit; None for the default branch.
        weights: Also the weights.

    Returns:
        The snapshot's directory; it is complete.

    Raises:
        ModelSourceError: The hub cannot be reached or refuses, and the cache has no complete copy.
    """
    complete = _complete_copy(name, revision, weights)
    if complete is not None:
        return complete
    commit = _cached_commit(name, revision) or revision
    patterns = _SMALL_FILES + (_WEIGHT_FILES if weights else [])
    folder = _snapshot(name, commit, patterns)
    if weights and not list(folder.glob("*.safetensors")):
        folder = _snapshot(name, commit, patterns + _OLD_WEIGHT_FILES)
    return check_directory(folder, weights=weights)


def resolve_commit(name: str, revision: str | None) -> str:
    """The commit that ``download`` uses: of the cached copy, or of the hub's branch."""
    return _cached_commit(name, revision) or download(name, revision, weights=False).name


def _complete_copy(name: str, revision: str | None, weights: bool) -> Path | None:
    """The cached snapshot if nothing is missing in it: then the network is not asked at all."""
    from huggingface_hub import try_to_load_from_cache

    cached = [try_to_load_from_cache(name, file, revision=revision) for file in _MARKS]
    if not all(isinstance(path, str) for path in cached):
        return None
    try:
        return check_directory(Path(str(cached[0])).parent, weights=weights)
    except ModelSourceError:
        return None


def _cached_commit(name: str, revision: str | None) -> str | None:
    """The commit of an earlier download of this branch, without the network."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(cached).parent.name if isinstance(cached, str) else None


def _snapshot(name: str, revision: str | None, patterns: list[str]) -> Path:
    """One complete snapshot; a broken connection is taken up again where it stopped."""
    from huggingface_hub import snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT")
    large = [pattern for pattern in patterns if pattern not in _SMALL_FILES]
    last: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            if large:
                fetch_weights(name, revision, large, endpoint)
            return Path(
                snapshot_download(name, revision=revision, allow_patterns=patterns, endpoint=endpoint)
            )
        except (OSError, ValueError, RuntimeError) as error:
            last = error
            if _is_final(error):
                break
    raise ModelSourceError(_three_ways_out(name, last)) from last


def _is_final(error: Exception) -> bool:
    """True where trying again cannot help: refused, unknown, or offline from the start."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, HfHubHTTPError) and status is not None and status < 500


def _three_ways_out(name: str, error: Exception | None) -> str:
    endpoint = os.environ.get("HF_ENDPOINT", "the default hub")
    reason = type(error).__name__
    detail = (str(error).strip().splitlines() or [""])[0][:160]
    return (
        f"model_name={name} could not be downloaded from {endpoint} ({reason}: {detail}). Three ways out: "
        "(1) a mirror: set HF_ENDPOINT=https://hf-mirror.com; (2) a proxy: set HTTPS_PROXY=http://HOST:PORT; "
        f"(3) a local copy: download it elsewhere and set model_name=./{name.rpartition('/')[2]}. "
        "A download that was interrupted goes on where it stopped."
    )
