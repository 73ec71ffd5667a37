"""The memory profile: a snapshot and a picture of it."""

import json
from xml.etree import ElementTree

import pytest
import torch

from qwen_pipeline.memory.measure import MIB
from qwen_pipeline.memory.profile import _Curve, draw_curve, follow_history, memory_profile


def test_a_profile_on_a_cpu_names_the_operator_at_the_peak(tmp_path):
    with memory_profile(tmp_path / "profile", "cpu") as profile:
        held = torch.ones(MIB)
        passing = torch.zeros(2 * MIB)
        del passing
    assert profile.peak_mib == 12 and profile.peak_event == "aten.zeros.default"
    record = json.loads(profile.snapshot.read_text())
    assert record["live"] == [4 * MIB, 12 * MIB, 4 * MIB] and held.sum() == MIB
    assert "aten.zeros" in "".join(ElementTree.parse(profile.picture).getroot().itertext())


def test_a_step_that_fails_leaves_its_profile_behind(tmp_path):
    with pytest.raises(torch.OutOfMemoryError), memory_profile(tmp_path, "cpu") as profile:
        kept = torch.ones(MIB)
        raise torch.OutOfMemoryError(f"no room beside {kept.nbytes}")
    assert profile.snapshot.is_file() and profile.picture.is_file() and profile.peak_mib == 4


def test_the_allocators_history_becomes_a_curve():
    frames = [{"name": "matmul", "filename": "layer.py"}]
    events = [
        {"action": "alloc", "size": 100, "frames": frames},
        {"action": "segment_alloc", "size": 999},
        {"action": "free_requested", "size": 100},
        {"action": "free_completed", "size": 100},
        {"action": "alloc", "size": 30},
    ]
    curve = _Curve()
    follow_history(events, 50, curve)
    assert curve.values == [150, 50, 80] and curve.peak_event == "matmul (layer.py)"


def test_a_long_history_is_thinned_without_losing_its_peak():
    values = [1] * 100_000
    values[77_777] = 1000
    root = ElementTree.fromstring(draw_curve(values, "<peak>"))
    points = root.find("{http://www.w3.org/2000/svg}polygon").get("points").split()
    assert len(points) < 2000
    assert min(float(point.split(",")[1]) for point in points) == 56.0


def test_an_empty_history_is_drawn_too():
    ElementTree.fromstring(draw_curve([], ""))
