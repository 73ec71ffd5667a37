"""A web server of a finished project, started as its user starts it and ended with all that it started."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serve(project: Path, *command: str, seconds: float = 180) -> Iterator[str]:
    """Run ``command --port N`` in the project until the block ends.

    Yields:
        The address, once something answers there.
    """
    port = _free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DO_NOT_TRACK": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight more processes that nothing here needs
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    log = project / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=project, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_answered(address, process, log, seconds)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    """A port below 49,152: Kedro-Viz refuses the ones above, which are all that the system gives away."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)):
                return port


def _wait_until_answered(address: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            told = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            assert process.poll() is None, f"the server ended: {told}"
            assert time.monotonic() < deadline, f"no answer from {address}: {told}"
            time.sleep(0.3)
