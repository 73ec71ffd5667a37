"""A leak is told from noise, jumps and warm-up."""

import random

import pytest

from qwen_pipeline.memory.measure import MemoryMeter, MemoryReading
from qwen_pipeline.memory.monitor import MemoryMonitor


class ScriptedMeter(MemoryMeter):
    """Reads host memory off a function of the step."""

    def __init__(self, mib_at):
        super().__init__("cpu")
        self.mib_at, self.step = mib_at, 0

    def read(self):
        self.step += 1
        return MemoryReading(self.mib_at(self.step) / 1024, 10.0)


class ScriptedCard(MemoryMeter):
    """Reads the card's and the host's memory off a function of the step each."""

    def __init__(self, card_mib_at, host_mib_at):
        super().__init__("cpu")
        self.card_mib_at, self.host_mib_at, self.step = card_mib_at, host_mib_at, 0

    def read(self):
        self.step += 1
        return MemoryReading(self.host_mib_at(self.step) / 1024, 10.0, self.card_mib_at(self.step) / 1024)


def watch(mib_at, steps=200):
    monitor = MemoryMonitor(ScriptedMeter(mib_at))
    for step in range(1, steps + 1):
        monitor.sample(step)
    return monitor


def noise(step, width=20.0):
    return random.Random(step).uniform(-width, width)


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_a_leak_is_named_with_its_slope(slope):
    (leak,) = watch(lambda step: 2000 + slope * step + noise(step)).leaks()
    assert leak.slope_mib_per_step == pytest.approx(slope, rel=0.15)
    assert leak.confidence > 0.999
    assert f"host memory grows by {leak.slope_mib_per_step:.2f} MiB a step" in str(leak)
    assert "empty_cache_steps" in str(leak)


@pytest.mark.parametrize(
    "mib_at",
    [
        lambda step: 2000,
        lambda step: 2000 + noise(step),
        lambda step: 2000 + (500 if step > 100 else 0) + noise(step),
        lambda step: 2000 + 500 * (1 - 0.9**step),
        lambda step: 2000 + (4000 if step == 90 else 0),
        lambda step: 2000 - 3 * step,
        lambda step: 2000 + 0.01 * step,
        lambda step: 2000 + 100 * (step % 10),
    ],
    ids=["flat", "noise", "jump", "warm-up", "one odd reading", "falling", "negligible", "saw tooth"],
)
def test_other_shapes_are_no_leak(mib_at):
    assert watch(mib_at).leaks() == []


def test_a_card_has_no_caches_that_fill_up_for_long_and_leaks_with_less_than_a_host():
    def leaking(slope_of_card, slope_of_host):
        monitor = MemoryMonitor(
            ScriptedCard(lambda step: 900 + slope_of_card * step, lambda step: 900 + slope_of_host * step)
        )
        for step in range(1, 201):
            monitor.sample(step)
        return [leak.series for leak in monitor.leaks()]

    assert leaking(0.05, 0.05) == []
    assert leaking(0.2, 0.2) == ["GPU memory"]
    assert leaking(0.0, 0.4) == []
    assert leaking(0.4, 0.6) == ["GPU memory", "host memory"]


def test_a_few_steps_are_too_few_to_judge():
    assert watch(lambda step: 2000 + 50 * step, steps=10).leaks() == []


def test_a_long_run_keeps_a_bounded_history_and_still_sees_the_leak():
    monitor = watch(lambda step: 2000 + 0.2 * step + noise(step), steps=5000)
    assert 64 <= len(monitor.history()) <= 256
    assert monitor.history()[0]["step"] < 200 and monitor.history()[-1]["step"] > 4500
    (leak,) = monitor.leaks()
    assert leak.slope_mib_per_step == pytest.approx(0.2, rel=0.1)


def test_steps_that_are_trained_again_after_a_rollback_replace_their_readings() -> None:
    monitor = MemoryMonitor(ScriptedMeter(float))
    for step in [*range(1, 21), *range(5, 21)]:
        monitor.sample(step)
    assert [row["step"] for row in monitor.history()] == list(range(1, 21))
    monitor.leaks()


def test_caches_of_libraries_that_fill_up_over_a_short_training_are_no_leak() -> None:
    # Every third step of a training of 130 steps on a CPU; a longer one came to rest by step 555.
    resident = [
        742, 817, 865, 883, 923, 933, 935, 944, 949, 956, 966, 968, 973, 975, 984, 992, 992, 1006, 1011, 1024, 1026,
        1032, 1033, 1026, 1030, 1040, 1043, 1038, 1049, 1051, 1064, 1073, 1102, 1088, 1102, 1103, 1106, 1109, 1112,
        1112, 1114, 1115, 1119, 1119,
    ]  # fmt: skip
    assert watch(lambda step: resident[step // 3], steps=130).leaks() == []


def test_a_leak_of_a_short_training_is_named() -> None:
    (leak,) = watch(lambda step: 700 + 4 * step + noise(step, 3.0), steps=40).leaks()
    assert leak.slope_mib_per_step == pytest.approx(4, rel=0.1)
