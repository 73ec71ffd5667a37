"""Memory readings, with a stand-in for the driver."""

import os
from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.memory.measure import GIB, MemoryMeter, host_memory_bytes


class StandInNvml:
    """Answers as the module ``pynvml`` does on a machine with one card."""

    def __init__(self, pid=None, refuses=()):
        self.pid, self.refuses = pid or os.getpid(), refuses

    def __getattribute__(self, name):
        if name.startswith("nvml") and name in object.__getattribute__(self, "refuses"):
            raise RuntimeError("NVML: Not Supported")
        return object.__getattribute__(self, name)

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByIndex(self, index):
        return ("card", index)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [
            SimpleNamespace(pid=1, usedGpuMemory=GIB),
            SimpleNamespace(pid=self.pid, usedGpuMemory=3 * GIB),
        ]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=5 * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=87)


def test_the_driver_tells_process_memory_and_utilisation():
    reading = MemoryMeter("cpu", nvml=StandInNvml()).read()
    assert (reading.gpu_process_gib, reading.gpu_device_used_gib, reading.gpu_utilisation_percent) == (
        3,
        5,
        87,
    )


def test_a_process_that_the_driver_does_not_list_is_unknown_not_zero():
    reading = MemoryMeter("cpu", nvml=StandInNvml(pid=-1)).read()
    assert reading.gpu_process_gib is None and reading.gpu_device_used_gib == 5


@pytest.mark.parametrize(
    ("refused", "missing"),
    [
        ("nvmlInit", {"gpu_process_gib", "gpu_device_used_gib", "gpu_utilisation_percent"}),
        ("nvmlDeviceGetUtilizationRates", {"gpu_utilisation_percent"}),
        ("nvmlDeviceGetComputeRunningProcesses", {"gpu_process_gib"}),
    ],
)
def test_what_the_driver_refuses_is_absent_and_nothing_else(refused, missing):
    metrics = MemoryMeter("cpu", nvml=StandInNvml(refuses=(refused,))).read().as_metrics("")
    names = {"gpu_process_gib", "gpu_device_used_gib", "gpu_utilisation_percent"}
    assert names - set(metrics) == missing


def test_on_a_cpu_the_allocator_says_nothing():
    metrics = MemoryMeter("cpu").read().as_metrics()
    assert set(metrics) == {"memory/host_resident_gib", "memory/host_peak_gib"}


def test_the_hosts_peak_starts_again_when_asked():
    held = torch.ones(128 * 2**20, dtype=torch.uint8)
    assert held.sum() == 128 * 2**20
    del held
    meter = MemoryMeter("cpu")
    high = meter.read()
    meter.reset_peak()
    assert high.host_peak_gib - meter.read().host_peak_gib > 0.1


def test_host_memory_follows_what_is_held():
    before, _ = host_memory_bytes()
    held = torch.ones(64 * 2**20, dtype=torch.uint8)
    after, peak = host_memory_bytes()
    assert 60 * 2**20 < after - before < 80 * 2**20 and peak >= after
    assert held.sum() == 64 * 2**20


@pytest.mark.parametrize("kind", ["GPU", "MIG"])
def test_a_card_and_a_slice_of_one_are_found_by_their_identity(monkeypatch, kind):
    class ByIdentity(StandInNvml):
        def nvmlDeviceGetHandleByUUID(self, uuid):
            if uuid != f"{kind}-1b2c":
                raise RuntimeError("NVML: Not Found")
            return ("slice", uuid)

    for name in ("allocated", "reserved"):
        monkeypatch.setattr(torch.cuda, f"memory_{name}", lambda device: 0)
        monkeypatch.setattr(torch.cuda, f"max_memory_{name}", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1b2c"))
    assert MemoryMeter("cuda:0", nvml=ByIdentity()).read().gpu_process_gib == 3
