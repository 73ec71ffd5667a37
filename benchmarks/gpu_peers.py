"""Peers as their users run them, each in a process of its own: what crashes costs only itself.

transformers' Trainer with peft always; TRL's SFTTrainer, padded and packed, and Unsloth where they can be imported. All load their
libraries and make their model at the same time; once the last is ready they train one after the other, alone.
"""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gpu_report import Part

READY, RESULT = "READY", "RESULT "  # what a peer says when it can train, and what it found
SCRIPT = Path(__file__).with_name("gpu_peer.py")
# The package that a peer needs beside transformers and peft.
PEERS: dict[str, str | None] = {
    "transformers": None,
    "trl, padded": "trl",
    "trl, packed": "trl",
    "unsloth": "unsloth",
    "transformers, grouped, kept": None,
}
TIME_TO_GET_READY = 0.6  # at most, of what there is
MOST_OF_THE_TIME = 0.6  # of what is left, for a peer with others behind it: one that hangs costs no more
TINY_PEERS = ("transformers", "trl, padded", "trl, packed")


def measure_peers(part: Part, settings: list[str], tiny: bool, cap_gb: float) -> None:
    """Run every peer that can be imported, one after the other, in what is left of the time.

    Args:
        part: Filled with the figures of each peer, or why there are none.
        settings: ``--tiny`` and ``--config`` as this benchmark was given them.
        tiny: Leave out what a test need not run.
        cap_gb: GiB; a peer that does not fit is measured without the cap and says so.
    """
    names = [name for name in PEERS if not tiny or name in TINY_PEERS]
    present = [name for name in names if can_import(PEERS[name])]
    part.note(not_installed=[name for name in names if name not in present], left_out_for_time=[])
    running = {name: start_peer(name, settings, cap_gb) for name in present}
    try:
        ready_until = time.perf_counter() + TIME_TO_GET_READY * max(0.0, part.seconds_left())
        for peer in running.values():
            peer.wait_for(READY, ready_until - time.perf_counter())
        for number, (name, peer) in enumerate(running.items()):
            if part.seconds_left() <= 0:
                part.note(left_out_for_time=present[number:])
                return
            share = 1.0 if number == len(present) - 1 else MOST_OF_THE_TIME
            part.attempt(name, peer.train, share)
    finally:
        for peer in running.values():
            peer.end()


def can_import(package: str | None) -> bool:
    """Whether a package is there; none is needed for some."""
    return package is None or importlib.util.find_spec(package) is not None


def start_peer(name: str, settings: list[str], cap_gb: float) -> "RunningPeer":
    """Begin to load a peer."""
    return RunningPeer([sys.executable, str(SCRIPT), "--system", name, "--cap", str(cap_gb), *settings])


class RunningPeer:
    """A peer in its own process, which gets ready, waits for a word and trains."""

    def __init__(self, command: list[str]) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, word: str, seconds: float) -> str | None:
        """The line that begins with ``word``; None if it did not come, in time or at all."""
        end = time.perf_counter() + seconds
        with self._said:
            while (found := self._find(word)) is None and self._reader.is_alive():
                if (
                    not self._said.wait(min(0.5, max(0.01, end - time.perf_counter())))
                    and time.perf_counter() >= end
                ):
                    break
        return found or self._find(word)

    def train(self, part: Part) -> None:
        """Let it train and note what it found."""
        if self._process.stdin and self._process.poll() is None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        line = self.wait_for(RESULT, max(1.0, part.seconds_left()))
        if line is None:
            self._process.kill()
            told = " | ".join(self._lines[-3:])
            raise RuntimeError(f"the peer ended with {self._process.wait()}: {told}")
        part.note(**json.loads(line.removeprefix(RESULT)))
        self._process.wait()  # its memory is free when the next one begins

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _find(self, word: str) -> str | None:
        return next((line for line in self._lines if line.startswith(word)), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._said:
                self._lines.append(line.strip())
                self._said.notify_all()
        self._process.wait()


def compare(ours: float | None, peers: dict[str, Any]) -> dict[str, Any]:
    """How many times as fast as each peer that ran, and as the best of them."""
    rates = {
        name: found["tokens_per_second"]
        for name, found in peers.items()
        if isinstance(found, dict) and found.get("tokens_per_second")
    }
    best = max(rates, key=lambda name: rates[name], default=None)
    ratios = {name: ours / rate for name, rate in rates.items()} if ours else {}
    return {"ratios": ratios, "best_peer": best, "ratio_to_best": ratios.get(best) if best else None}
