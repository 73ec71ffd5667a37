"""Follows memory over the steps of a run and names a leak with its slope.

A leak is growth that is steady: most later readings lie above earlier ones (Mann-Kendall), the robust slope
(Theil-Sen) is much the same in every third of the run, and what was gained is more than noise. A jump at one step, a
cache that fills up and a single odd reading are none of these.
"""

import math
from dataclasses import dataclass, field
from itertools import combinations
from statistics import NormalDist, median

from qwen_pipeline.memory.measure import MemoryMeter, MemoryReading

MIB_PER_GIB = 1024.0
CAPACITY = 256  # readings kept; when full, every second one goes and the interval doubles
LEAST_GROWTH_MIB = 16.0  # over the whole run; less is never called a leak
STEADY = 0.6  # the slowest third of a leak grows at least so fast as a share of the fastest
SERIES = {"gpu_allocated_gib": "GPU memory", "host_resident_gib": "host memory"}
# What host memory may grow by before it is called a leak: caches of libraries fill up for thousands of steps. Measured
# in a training of 800 steps on a CPU: 182 MiB in steps 26 to 130, ever slower; 143 in steps 111 to 555.
HOST_CACHES_MIB = 64.0


@dataclass(frozen=True)
class Leak:
    """Steady growth of one kind of memory.

    Attributes:
        series: What grows (``GPU memory``, ``host memory``).
        slope_mib_per_step: Median slope over all pairs of readings.
        confidence: 1 − p of the Mann-Kendall test for growth.
        grown_mib: Slope times the steps looked at.
    """

    series: str
    slope_mib_per_step: float
    confidence: float
    grown_mib: float

    def __str__(self) -> str:
        return (
            f"{self.series} grows by {self.slope_mib_per_step:.2f} MiB a step "
            f"(confidence {100 * self.confidence:.1f} %, {self.grown_mib:.0f} MiB so far); "
            "set empty_cache_steps=100, and lower dataloader_num_workers if it is host memory."
        )


@dataclass
class MemoryMonitor:
    """Keeps readings over steps, in bounded memory however long the run is.

    Attributes:
        meter: Where readings come from.
    """

    meter: MemoryMeter
    _readings: list[tuple[int, MemoryReading]] = field(default_factory=list)
    _interval: int = 1

    def sample(self, step: int) -> MemoryReading:
        """Read memory after optimiser step ``step`` and keep the reading if its turn has come.

        A training that was rolled back comes to a step again; what was read there before is then forgotten.
        """
        reading = self.meter.read()
        if self._readings and self._readings[-1][0] >= step:
            self._readings = [pair for pair in self._readings if pair[0] < step]
        if step % self._interval == 0:
            self._readings.append((step, reading))
        if len(self._readings) >= CAPACITY:
            self._interval *= 2
            self._readings = [pair for pair in self._readings if pair[0] % self._interval == 0]
        return reading

    def history(self) -> list[dict[str, float]]:
        """The readings kept, one dict a step, for the report."""
        return [{"step": float(step), **reading.as_metrics("")} for step, reading in self._readings]

    def leaks(self) -> list[Leak]:
        """Every kind of memory that grows steadily; the first fifth of the run, its warm-up, is left out."""
        later = self._readings[len(self._readings) // 5 :]
        found = []
        for name, title in SERIES.items():
            values = [(step, getattr(reading, name)) for step, reading in later]
            series = [(float(step), value * MIB_PER_GIB) for step, value in values if value is not None]
            least = LEAST_GROWTH_MIB + (HOST_CACHES_MIB if name == "host_resident_gib" else 0.0)
            leak = find_leak(title, series, least)
            if leak:
                found.append(leak)
        return found


def find_leak(title: str, series: list[tuple[float, float]], least_mib: float) -> Leak | None:
    """Judge one series of (step, MiB); needs at least 12 readings."""
    if len(series) < 12:
        return None
    slope, confidence = growth(series)
    third = len(series) // 3
    slopes = [growth(part)[0] for part in (series[:third], series[third:-third], series[-third:])]
    grown = slope * (series[-1][0] - series[0][0])
    level = median(value for _, value in series)
    is_steady = slope > 0 and min(slopes) > STEADY * max(slopes)  # a cache that fills up slows down
    if not is_steady or confidence < 0.999 or grown < max(least_mib, 0.005 * level):
        return None
    return Leak(title, slope, confidence, grown)


def growth(series: list[tuple[float, float]]) -> tuple[float, float]:
    """Theil-Sen slope, and 1 − p of the one-sided Mann-Kendall test.

    Source: Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"; Mann 1945. The
    variance is the one without ties, which errs on the side of no leak.
    """
    pairs = list(combinations(series, 2))
    slope = median((late[1] - early[1]) / (late[0] - early[0]) for early, late in pairs)
    score = sum((late[1] > early[1]) - (late[1] < early[1]) for early, late in pairs)
    count = len(series)
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return slope, NormalDist().cdf((score - 1) / deviation) if score > 0 else 0.5
