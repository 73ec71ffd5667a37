"""The hub or mirror that a remote model would come from, through the proxy in force (S4)."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok

ORDER = 55
DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_SECONDS = 4.0
WAYS_OUT = (
    "export HF_ENDPOINT=https://hf-mirror.com, or export HTTPS_PROXY=http://proxy:port, "
    "or give a folder: model_name=./Qwen3-4B-Thinking-2507"
)


def check(inspection: Inspection) -> Iterator[Finding]:
    """Ask the endpoint for the model's config; only where the model is remote."""
    name = str(inspection.parameter("model_name", "demo"))
    if not is_remote(name, inspection.project_path):
        return
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    proxies = urllib.request.getproxies()
    through = (
        f" through the proxy {_host(proxies.get('https') or proxies.get('http') or '')}" if proxies else ""
    )
    try:
        status = _ask(f"{endpoint}/{name}/resolve/main/config.json")
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "reason", failure)
        yield error("hub", f"{endpoint} does not answer{through}: {reason}", WAYS_OUT)
        return
    if status in {401, 403, 404}:
        fact = f"{endpoint} answers {status} for {name}: it does not exist there or needs a token"
        yield error("hub", fact, "check model_name, or export HF_TOKEN=… for a gated model")
    elif status >= 400:
        yield error("hub", f"{endpoint} answers {status} for {name}{through}", WAYS_OUT)
    else:
        yield ok("hub", f"{endpoint} serves {name}{through}")


def is_remote(name: str, project_path: Path) -> bool:
    """Whether a model name is a hub id rather than the demo or a folder."""
    looks_local = name.startswith((".", "/", "~")) or "\\" in name or (project_path / name).exists()
    return name != "demo" and not looks_local


def _ask(url: str) -> int:
    request = urllib.request.Request(url, method="HEAD")
    try:
        opener = urllib.request.build_opener()  # urlopen would keep the proxies of its first call
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return int(refusal.code)


def _host(proxy: str) -> str:
    """A proxy's address without user and password."""
    return proxy.rpartition("@")[2].rpartition("//")[2]
