"""What a command prints reaches any terminal and any file, and a run can be stopped."""

import errno
import io
import logging
import os
import signal
import sys
import time
import weakref
from pathlib import Path

import pytest

from qwen_pipeline.commands.project import one_sentence
from qwen_pipeline.commands.terminal import stop_on_demand
from qwen_pipeline.errors import RunInterruptedError


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_the_terminals_encoding_lacks_is_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding="cp1252"))

    @one_sentence
    def tell() -> None:
        print("→ ── › 中 é", file=getattr(sys, name), flush=True)

    tell()
    assert written.getvalue().decode("cp1252").split() == ["?", "??", "›", "?", "é"]


def test_a_stream_that_is_no_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    one_sentence(lambda: print("→"))()
    assert written.getvalue() == "→\n"


def test_a_log_that_cannot_be_written_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    full = logging.StreamHandler(io.TextIOWrapper(io.BufferedWriter(_Full())))
    record = logging.LogRecord("run", logging.INFO, __file__, 1, "done", None, None)
    one_sentence(lambda: full.handle(record))()
    assert capsys.readouterr().err == ""


def test_ctrl_c_within_a_finaliser_is_not_lost() -> None:
    """Python drops what is raised there: the run would go on."""

    @one_sentence
    def work() -> None:
        freed = _Freed()
        weakref.finalize(freed, signal.raise_signal, signal.SIGINT)
        del freed
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()


def test_what_else_a_finaliser_drops_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))

    @one_sentence
    def work() -> None:
        weakref.finalize(_Freed(), int, "no number")

    work()
    assert told == [ValueError]


class _Freed:
    """Something with a finaliser."""


class _Full(io.RawIOBase):
    """A file on a disk that is full."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("version: [1\n  a: b: c\n", "conf/logging.yml, line 2: expected ',' or ']'"),
        (
            "version: 1\ndisable_existing_loggers: false\nroot: {handlers: [none]}\n",
            "conf/logging.yml: Unable to configure root logger",
        ),
        ("just words\n", "conf/logging.yml: "),
    ],
)
def test_a_logging_file_that_cannot_be_used_is_one_sentence(
    content: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/logging.yml").write_text(content)
    monkeypatch.setattr("qwen_pipeline.commands.terminal.project_root", lambda: tmp_path)
    monkeypatch.delenv("KEDRO_LOGGING_CONFIG", raising=False)
    with pytest.raises(SystemExit) as ended:
        one_sentence(lambda: None)()
    assert told in str(ended.value.code)
    assert str(ended.value.code).endswith("git checkout conf/logging.yml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_what_is_open_and_is_told_in_a_sentence(number: signal.Signals) -> None:
    closed = []
    with (
        pytest.raises(
            RunInterruptedError, match=rf"^Stopped by {number.name}; .* Run the same command again"
        ),
        stop_on_demand(),
    ):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            closed.append(True)
    assert closed
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_that_is_already_there_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_on_demand():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
