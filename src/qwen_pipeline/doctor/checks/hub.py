"""The hub or mirror that a remote model would come from, through the proxy in force (S4)."""

import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

from qwen_pipeline.doctor.checks.model_files import is_remote, judge_cache
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
    source = inspection.model()
    name = source.name
    if not is_remote(source) or judge_cache(source, inspection).fact.endswith("whole in the hub cache"):
        return
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    proxies = urllib.request.getproxies()
    if faults := list(judge_proxies(proxies)):
        yield from faults
        return
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


def judge_proxies(proxies: Mapping[str, str]) -> Iterator[Finding]:
    """Name proxies that no client can use as they are written."""
    for kind in ("http", "https", "all"):
        proxy = proxies.get(kind, "")
        variable = f"{kind.upper()}_PROXY"
        if proxy and "://" not in proxy:
            fact = f"{variable}={_host(proxy)} names no protocol"
            yield error("hub", fact, f"export {variable}=http://{_host(proxy)}")
        elif proxy.startswith("socks") and importlib.util.find_spec("socksio") is None:
            fact = f"{variable} is a SOCKS proxy, which the hub client cannot use without socksio"
            yield error("hub", fact, "export HTTPS_PROXY=http://HOST:PORT, a mirror, or a local folder")


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
