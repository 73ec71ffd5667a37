"""Run `doctor.quantise` in a process of its own, from the doctor's first moment to its judgement."""

import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

PATIENCE_SECONDS = 120


class QuantiseApart:
    """A started `doctor.quantise`; leaving the block ends it, whatever it is doing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "qwen_pipeline.doctor.quantise"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip

    def found(self) -> dict[str, Any]:
        """What it printed; a process that dies of the library, or hangs, is a failure like any other."""
        try:
            printed, complained = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return {"failure": f"bitsandbytes does not answer within {PATIENCE_SECONDS} seconds"}
        try:
            found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        except (IndexError, ValueError):
            last = (complained.strip().splitlines() or ["nothing was printed"])[-1]
            code = self._process.returncode
            return {"failure": f"bitsandbytes ends the process (exit code {code}): {last}"}
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
