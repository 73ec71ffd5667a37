"""The cap means the process's memory: the allocator gets what the context leaves."""

from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.cap import CONTEXT_GIB, CPU_KERNELS_GIB, apply_memory_cap, planned_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter, host_memory_bytes


class CudaMeter(MemoryMeter):
    """A meter of a card that is not there."""

    def __init__(self, process_gib):
        super().__init__("cpu")
        self.device = torch.device("cuda", 0)
        self._process_gib = process_gib

    def process_bytes(self):
        return None if self._process_gib is None else int(self._process_gib * GIB)


@pytest.fixture
def card(monkeypatch):
    """A 24 GiB card on which the allocator has reserved 0.25 GiB; records the fraction it is given."""
    given = []
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, device, dtype: ones(*size, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: GIB // 4)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=24 * GIB)
    )
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda fraction, device: given.append(fraction)
    )
    return given


def test_the_allocator_gets_what_the_measured_context_leaves(card):
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert cap.enforced and cap.context_gib == pytest.approx(0.4)
    assert card == [pytest.approx(7.6 / 24)]
    assert cap.usable_gib == pytest.approx(7.6)


def test_where_the_driver_does_not_tell_the_usual_context_is_taken(card):
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=None))
    assert cap.context_gib == CONTEXT_GIB and card == [pytest.approx((8 - CONTEXT_GIB) / 24)]


def test_a_cap_above_the_card_is_the_card(card):
    assert apply_memory_cap(80.0, CudaMeter(process_gib=0.65)).limit_gib == 24
    assert card == [pytest.approx(23.6 / 24)]


def test_a_cap_that_only_the_context_fits_into_is_refused():
    with pytest.raises(MemoryPlanError, match=r"max_memory_gb=0.4 leaves nothing .* set max_memory_gb="):
        planned_cap(0.4)


def test_on_a_cpu_the_plan_alone_keeps_to_the_limit():
    resident_gib = host_memory_bytes()[0] / GIB
    cap = apply_memory_cap(4.0, MemoryMeter("cpu"))
    assert not cap.enforced
    assert cap.context_gib == pytest.approx(resident_gib + CPU_KERNELS_GIB, rel=0.05)


def test_on_a_cpu_a_cap_that_only_the_libraries_fit_into_is_refused():
    with pytest.raises(MemoryPlanError, match=r"max_memory_gb=0.01 leaves nothing beside the libraries"):
        planned_cap(0.01, "cpu")
