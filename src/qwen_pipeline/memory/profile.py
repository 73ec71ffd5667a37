"""`enable_memory_profiling`: a snapshot of memory over a few steps, and a picture of it.

On CUDA the snapshot is the allocator's own history, which https://pytorch.org/memory_viz opens. On a CPU,
which has no such history, live tensor bytes are followed operator by operator. Both are drawn as one curve,
in SVG, so that a browser and the tracker show it without further software.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import torch

from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.memory.measure import MIB

_WIDTH, _HEIGHT, _MARGIN = 960, 360, 56
_POINTS = 1920  # Two a pixel; more cannot be seen.


@dataclass
class MemoryProfile:
    """What was recorded.

    Attributes:
        snapshot: The recorded file: a pickle of the allocator on CUDA, JSON on a CPU.
        picture: The curve, SVG.
        peak_mib: The highest point, relative to the start on a CPU.
        peak_event: The allocation that reached it.
    """

    snapshot: Path
    picture: Path
    peak_mib: float = 0.0
    peak_event: str = ""


@dataclass
class _Curve:
    """Bytes after each allocation or release, and the highest with its name."""

    values: list[int] = field(default_factory=list)
    peak: int = 0
    peak_event: str = ""

    def add(self, value: int, name: str) -> None:
        self.values.append(value)
        if value > self.peak:
            self.peak, self.peak_event = value, name


@contextmanager
def memory_profile(directory: Path, device: torch.device | str) -> Iterator[MemoryProfile]:
    """Record memory while the block runs; a few steps are enough, and recording slows them down.

    Args:
        directory: Where ``memory_snapshot.*`` and ``memory.svg`` are written, also if the block fails.
        device: The device that trains.

    Yields:
        The profile; its figures are there when the block has ended.
    """
    device = torch.device(device)
    directory.mkdir(parents=True, exist_ok=True)
    suffix = "pickle" if device.type == "cuda" else "json"
    profile = MemoryProfile(directory / f"memory_snapshot.{suffix}", directory / "memory.svg")
    curve = _Curve()
    record = _record_cuda if device.type == "cuda" else _record_cpu
    try:
        with record(profile.snapshot, device, curve):
            yield profile
    finally:
        profile.peak_mib, profile.peak_event = curve.peak / MIB, curve.peak_event
        profile.picture.write_text(draw_curve(curve.values, f"Peak at {curve.peak_event}"), encoding="utf-8")


@contextmanager
def _record_cpu(snapshot: Path, device: torch.device, curve: _Curve) -> Iterator[None]:
    try:
        with LiveBytes(curve.add):
            yield
    finally:
        record = {"unit": "bytes", "peak": curve.peak, "peak_event": curve.peak_event, "live": curve.values}
        snapshot.write_text(json.dumps(record), encoding="utf-8")


@contextmanager
def _record_cuda(snapshot: Path, device: torch.device, curve: _Curve) -> Iterator[None]:
    live = torch.cuda.memory_allocated(device)
    torch.cuda.memory._record_memory_history(max_entries=200_000, device=device)
    try:
        yield
    finally:
        torch.cuda.memory._dump_snapshot(str(snapshot))  # type: ignore[no-untyped-call]
        traces = torch.cuda.memory._snapshot(device)["device_traces"]
        torch.cuda.memory._record_memory_history(enabled=None, device=device)
        index = device.index if device.index is not None else torch.cuda.current_device()
        follow_history(traces[index], live, curve)


def follow_history(events: Sequence[dict[str, Any]], live: int, curve: _Curve) -> None:
    """Turn the allocator's events into a curve.

    Args:
        events: ``action``, ``size`` and ``frames`` of each, oldest first.
        live: Bytes allocated before the first.
        curve: Receives the points.
    """
    for event in events:
        if event["action"] == "alloc":
            live += event["size"]
        elif event["action"] == "free_completed":
            live -= event["size"]
        else:
            continue
        frames = event.get("frames") or [{}]
        curve.add(live, f"{frames[0].get('name', 'unknown')} ({frames[0].get('filename', '')})")


def draw_curve(values: Sequence[int], caption: str) -> str:
    """Draw bytes over events as SVG; each drawn point is the highest of those that it stands for."""
    group = max(1, -(-len(values) // _POINTS))
    highest = [max(values[start : start + group]) for start in range(0, len(values), group)] or [0]
    top = max(max(highest), 1)
    wide, high = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    step = wide / max(1, len(highest) - 1)
    points = [(_MARGIN + i * step, _MARGIN + high * (1 - value / top)) for i, value in enumerate(highest)]
    floor = _MARGIN + high
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    lines = [
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{floor - high * part / 4:.1f}" '
        f'y2="{floor - high * part / 4:.1f}" stroke="#ddd"/>'
        f'<text x="{_MARGIN - 6}" y="{floor - high * part / 4 + 4:.1f}" text-anchor="end">'
        f"{top * part / 4 / MIB:,.0f}</text>"
        for part in range(5)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="11">'
        f'<text x="{_MARGIN}" y="24" font-size="15">Memory, MiB, over {len(values):,} events'
        f'</text><text x="{_MARGIN}" y="42">{escape(caption)}</text>{"".join(lines)}'
        f'<polygon points="{_MARGIN},{floor} {outline} {points[-1][0]:.1f},{floor}" fill="#6b8fb5"/></svg>'
    )
