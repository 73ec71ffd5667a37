"""Peers as their users run them, each in a process of its own: what crashes costs only itself.

transformers' Trainer with peft always; TRL's SFTTrainer, padded and packed, and Unsloth where they can be imported.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu_report import Part

SCRIPT = Path(__file__).with_name("gpu_peer.py")
# The package that a peer needs beside transformers and peft.
PEERS: dict[str, str | None] = {
    "transformers": None,
    "trl, padded": "trl",
    "trl, packed": "trl",
    "unsloth": "unsloth",
    "transformers, grouped, kept": None,
}
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
    for number, name in enumerate(present):
        if part.seconds_left() <= 0:
            part.note(left_out_for_time=present[number:])
            return
        share = 1.0 if number == len(present) - 1 else MOST_OF_THE_TIME
        part.attempt(name, lambda inner, name=name: run_peer(inner, name, settings, cap_gb), share)


def can_import(package: str | None) -> bool:
    """Whether a package is there; none is needed for some."""
    return package is None or importlib.util.find_spec(package) is not None


def run_peer(part: Part, name: str, settings: list[str], cap_gb: float) -> None:
    """One peer in its own process, ended when its time is over."""
    command = [sys.executable, str(SCRIPT), "--system", name, "--cap", str(cap_gb), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, part.seconds_left()))
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        told = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise RuntimeError(f"the peer ended with {done.returncode}: {' | '.join(told)}")
    part.note(**json.loads(lines[-1].removeprefix("RESULT ")))


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
