import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from qwen_pipeline.errors import ModelSourceError, UnsupportedModelError
from qwen_pipeline.model import hub, resumable
from qwen_pipeline.model.source import ModelSource

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class StandInHub(ThreadingHTTPServer):
    """Answers as a model hub does, from a folder; may break the first transfers of weights, or send to another server for them."""

    def __init__(self, folder: Path, breaks: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.breaks = folder, breaks
        self.elsewhere = ""
        self.ranges: list[str] = []
        self.tokens: list[str | None] = []  # that came with a request for weights
        self.paths: list[str] = []
        self.requests = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandInHub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests += 1
        self.server.paths.append(path)
        if path.startswith("/api/models/"):
            return self._listing(path)
        file = self.server.folder / path.rpartition("/")[2]
        if not file.is_file():
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        return self._file(file)

    def _listing(self, path: str) -> None:
        import json

        files = sorted(self.server.folder.iterdir())
        if "/tree/" in path:
            listed: object = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": _etag(f)} for f in files
            ]
        else:
            names = [{"rfilename": f.name} for f in files]
            listed = {"id": "owner/tiny", "sha": COMMIT, "siblings": names, "tags": [], "private": False}
        self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})

    def _file(self, file: Path) -> None:
        content = file.read_bytes()
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if file.suffix == ".safetensors":
            self.server.tokens.append(self.headers.get("Authorization"))
            if self.server.elsewhere:
                linked = {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
                return self._send(
                    302, b"", {**headers, **linked, "Location": f"{self.server.elsewhere}/{file.name}"}
                )
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if start >= len(content):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        if wanted and file.suffix == ".safetensors":
            self.server.ranges.append(wanted)
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._send(206 if start else 200, content[start:], headers, file.suffix == ".safetensors")

    def _send(self, status: int, body: bytes, headers: dict[str, str], weights: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if weights and self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def _etag(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants, file_download

    folder = tmp_path / "cache"
    for module in (constants, file_download):
        if hasattr(module, "HF_HUB_CACHE"):
            monkeypatch.setattr(module, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[StandInHub]:
    server = StandInHub(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def stand_in(tiny_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    with serving(tiny_model) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def test_a_hub_model_comes_from_the_mirror_and_then_from_the_cache(stand_in: StandInHub) -> None:
    source = ModelSource("owner/tiny")
    folder = source.directory()
    assert (folder / "model.safetensors").is_file()
    assert source.fingerprint() == {"hub_id": "owner/tiny", "commit": COMMIT}
    asked = stand_in.requests
    assert asked > 0
    assert source.directory() == folder
    assert stand_in.requests == asked
    stand_in.shutdown()
    assert source.directory() == folder


def test_a_broken_download_goes_on(
    stand_in: StandInHub, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    stand_in.breaks = 1
    folder = ModelSource("owner/tiny").directory()
    assert (folder / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert any(not wanted.startswith("bytes=0-") for wanted in stand_in.ranges), stand_in.ranges


_KILLED = """
import os
from qwen_pipeline.model import resumable
resumable._WORTH_RESUMING = 1
resumable._require_whole = lambda *_: os.kill(os.getpid(), 9)
from qwen_pipeline.model.source import ModelSource
ModelSource("owner/tiny").directory()
"""


def test_a_killed_download_goes_on_where_it_stopped(
    stand_in: StandInHub, cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of a process that died are in the cache; a second process asks for the rest only."""
    monkeypatch.setattr(resumable, "_WORTH_RESUMING", 1)
    weights = (tiny_model / "model.safetensors").read_bytes()
    environment = {
        **os.environ,
        "HF_HUB_CACHE": str(cache),
        "HF_ENDPOINT": stand_in.endpoint,
        "HF_HUB_OFFLINE": "0",
    }
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED], env=environment, capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-1000:]
    (partial,) = cache.glob("models--owner--tiny/blobs/*.partial")
    assert partial.read_bytes() == weights
    with partial.open("r+b") as file:
        file.truncate(len(weights) // 3)  # as if it had died there
    stand_in.ranges.clear()
    folder = ModelSource("owner/tiny").directory()
    assert stand_in.ranges == [f"bytes={len(weights) // 3}-"]
    assert (folder / "model.safetensors").read_bytes() == weights
    assert not list(cache.glob("**/*.partial*"))


def test_the_token_is_for_the_hub_and_not_for_the_store_that_the_weights_come_from(
    stand_in: StandInHub, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "_WORTH_RESUMING", 1)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(tiny_model) as store:
        stand_in.elsewhere = store.endpoint
        folder = ModelSource("owner/tiny").directory()
    assert (folder / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert set(stand_in.tokens) == {"Bearer hf_secret"}
    assert store.tokens == [None]


def test_weights_come_from_the_revision_that_was_asked_for(
    stand_in: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "_WORTH_RESUMING", 1)
    ModelSource("owner/tiny", revision="v1").directory()
    assert not [path for path in stand_in.paths if "/main" in path]


def test_a_download_that_was_killed_when_all_was_there_asks_for_nothing_more(
    stand_in: StandInHub, cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "_WORTH_RESUMING", 1)
    weights = tiny_model / "model.safetensors"
    blobs = cache / "models--owner--tiny/blobs"
    blobs.mkdir(parents=True)
    shutil.copy(weights, blobs / f"{_etag(weights)}.partial")
    folder = ModelSource("owner/tiny").directory()
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()
    assert stand_in.ranges == []


@pytest.mark.parametrize(("size", "asked"), [(100, ["bytes=100-"]), (10**7, [])])
def test_bytes_of_another_file_are_not_gone_on_with(
    stand_in: StandInHub, cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch,
    size: int, asked: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(resumable, "_WORTH_RESUMING", 1)
    weights = tiny_model / "model.safetensors"
    blobs = cache / "models--owner--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{_etag(weights)}.partial").write_bytes(b"x" * size)
    folder = ModelSource("owner/tiny").directory()
    assert stand_in.ranges == asked
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()


def test_the_architecture_is_refused_before_any_weight_is_fetched(
    stand_in: StandInHub, tmp_path: Path, tiny_model: Path, cache: Path
) -> None:
    stand_in.folder = shutil.copytree(tiny_model, tmp_path / "other")
    config = (stand_in.folder / "config.json").read_text().replace("Qwen3ForCausalLM", "GemmaForCausalLM")
    (stand_in.folder / "config.json").write_text(config)
    with pytest.raises(UnsupportedModelError, match="GemmaForCausalLM"):
        ModelSource("owner/tiny").directory()
    assert not list(cache.rglob("*.safetensors"))


def test_a_hub_out_of_reach_names_the_three_ways_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelSourceError) as caught:
        hub.download("owner/tiny", None, weights=False)
    message = str(caught.value)
    assert "HF_ENDPOINT=" in message
    assert "HTTPS_PROXY=" in message
    assert "model_name=./tiny" in message
