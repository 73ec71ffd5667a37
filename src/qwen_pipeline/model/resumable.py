"""Weights downloaded so that a killed download goes on where it stopped.

The hub's client resumes within one process only: each download has a temporary file of its own, removed on failure.
Source: huggingface_hub 2.4, ``_download_to_tmp_and_move``; can go when it resumes over processes again. Here the bytes go into
one file beside the client's cache entry, which becomes the entry when it is whole; the client then finds it there.
"""

import fnmatch
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

_WORTH_RESUMING = 2**20  # bytes; smaller files are left to the client
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = 2**20


def fetch_weights(name: str, revision: str | None, patterns: Sequence[str], endpoint: str | None) -> None:
    """Download the large files of a model into the hub's cache, each from where an earlier download stopped.

    Args:
        name: Hub id, ``owner/name``.
        revision: Branch, tag or commit; None for the default branch.
        patterns: Shell patterns of file names.
        endpoint: The hub's or the mirror's address; None for the default hub.

    Raises:
        OSError: The hub cannot be reached, refuses, or sent other bytes than it announced.
    """
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint).model_info(name, revision=revision)
    names = [sibling.rfilename for sibling in info.siblings or ()]
    for file in names:
        if any(fnmatch.fnmatch(file, pattern) for pattern in patterns):
            _fetch(name, file, info.sha or revision or "main", endpoint)


def _fetch(name: str, file: str, revision: str, endpoint: str | None) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    url = hf_hub_url(name, file, revision=revision, endpoint=endpoint)
    known = get_hf_file_metadata(url, endpoint=endpoint)
    if not known.etag or not known.size or known.size < _WORTH_RESUMING:
        return
    blob = _blobs(name) / known.etag
    partial = blob.with_name(f"{known.etag}.partial")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(str(partial) + ".lock"):
        if blob.exists():
            return
        _go_on(partial, known.location, url, known.size, file)
        _require_whole(partial, known.etag, known.size, file)
        partial.replace(blob)
    Path(str(partial) + ".lock").unlink(missing_ok=True)


def _blobs(name: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "blobs"


def _go_on(partial: Path, location: str, url: str, size: int, file: str) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    headers = build_hf_headers()
    # the store behind the hub signs its addresses itself
    if urlsplit(location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)
    with partial.open("ab") as target:
        if target.tell() > size:
            target.seek(0)
            target.truncate()
        http_get(
            location,
            target,
            resume_size=target.tell(),
            headers=headers,
            expected_size=size,
            displayed_filename=file,
        )
        target.flush()
        os.fsync(target.fileno())


def _require_whole(partial: Path, etag: str, size: int, file: str) -> None:
    """Compare size and digest; what differs is removed, so that the next attempt begins anew."""
    digest = hashlib.sha256()
    if is_digest := _SHA256.fullmatch(etag):
        with partial.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    if partial.stat().st_size != size or (is_digest and digest.hexdigest() != etag):
        partial.unlink()
        raise OSError(f"{file} arrived damaged")
