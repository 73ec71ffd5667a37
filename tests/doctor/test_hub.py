"""The hub, a mirror and a proxy, played by a server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from qwen_pipeline.doctor.checks import hub
from qwen_pipeline.doctor.finding import Finding, Inspection, State

MODEL = "Qwen/Qwen3-4B-Thinking-2507"


class Mirror(BaseHTTPRequestHandler):
    status = 200
    asked: list[str] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Mirror.status, Mirror.asked = 200, []
    httpd = HTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def examine(tmp_path: Path, name: str = MODEL) -> list[Finding]:
    return list(hub.check(Inspection(tmp_path, {"train": {"model_name": name}})))


def test_a_mirror_that_serves_the_model_is_fine(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server + "/")
    (finding,) = examine(tmp_path)
    assert finding.state is State.OK
    assert Mirror.asked == [f"/{MODEL}/resolve/main/config.json"]


def test_the_proxy_is_used_and_named_without_its_password(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("http_proxy", server.replace("http://", "http://me:secret@"))
    (finding,) = examine(tmp_path)
    assert finding.state is State.OK
    assert Mirror.asked == [f"http://hub.example/{MODEL}/resolve/main/config.json"]
    assert "secret" not in finding.fact
    assert "through the proxy 127.0.0.1" in finding.fact


def test_a_model_that_is_not_there_is_told_apart_from_a_dead_hub(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    Mirror.status = 404
    (finding,) = examine(tmp_path)
    assert finding.state is State.ERROR
    assert "model_name" in finding.remedy


def test_a_dead_hub_names_the_three_ways_out(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (finding,) = examine(tmp_path)
    assert finding.state is State.ERROR
    for way in ("HF_ENDPOINT", "HTTPS_PROXY", "model_name=./"):
        assert way in finding.remedy


@pytest.mark.parametrize("name", ["demo", "./Qwen3-4B-Thinking-2507", "~/models/qwen", "models/qwen"])
def test_a_local_model_asks_nobody(name: str, tmp_path: Path) -> None:
    (tmp_path / "models/qwen").mkdir(parents=True)
    assert examine(tmp_path, name) == []


@pytest.mark.parametrize(
    ("proxies", "told"),
    [({"https": "proxy.example:8080"}, "HTTPS_PROXY"), ({"all": "socks5://proxy.example:1080"}, "SOCKS")],
)
def test_a_proxy_that_no_client_can_use_is_told(
    proxies: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    (finding,) = hub.judge_proxies(proxies)
    assert finding.state is State.ERROR
    assert told in finding.fact
    assert list(hub.judge_proxies({"https": "http://proxy.example:8080"})) == []
