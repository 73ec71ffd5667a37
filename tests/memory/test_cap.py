"""The cap means the process's memory: the allocator gets what the context leaves."""

import weakref
from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory import allocator
from qwen_pipeline.memory.cap import (
    CONTEXT_GIB,
    CPU_KERNELS_GIB,
    HOST_SHARE,
    LATER_KERNELS_GIB,
    apply_memory_cap,
    planned_cap,
)  # fmt: skip
from qwen_pipeline.memory.measure import GIB, MemoryMeter, host_memory_bytes


class CudaMeter(MemoryMeter):
    """A meter of a card that is not there."""

    def __init__(self, process_gib):
        super().__init__("cpu")
        self.device = torch.device("cuda", 0)
        self._process_gib = process_gib

    def process_bytes(self):
        return None if self._process_gib is None else int(self._process_gib * GIB)


class Card:
    """A 24 GiB card on which this process's allocator has reserved 0.25 GiB; what it is asked, in order."""

    def __init__(self):
        self.asked, self.dtypes = [], []
        self.free_gib = 23.0

    @property
    def fractions(self):
        return [value for what, value in self.asked if what == "fraction"]


@pytest.fixture
def card(monkeypatch):
    card, ones = Card(), torch.ones

    def first_tensor(*size, device, dtype):
        card.asked.append(("tensor", size))
        card.dtypes.append(dtype)
        return ones(*size, dtype=dtype)

    monkeypatch.setattr(torch, "ones", first_tensor)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: GIB // 4)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=24 * GIB)
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(card.free_gib * GIB), 24 * GIB))
    monkeypatch.setattr(
        torch.cuda,
        "set_per_process_memory_fraction",
        lambda fraction, device: card.asked.append(("fraction", fraction)),
    )
    monkeypatch.setattr(
        torch._C,
        "_accelerator_setAllocatorSettings",
        lambda text: card.asked.append(("settings", text)),
        raising=False,
    )
    for name in allocator.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return card


def test_the_allocator_gets_what_the_measured_context_and_later_kernels_leave(card):
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert cap.context_gib == pytest.approx(0.4 + LATER_KERNELS_GIB)
    assert card.fractions == [pytest.approx((8 - 0.4 - LATER_KERNELS_GIB) / 24)]
    assert cap.usable_gib == pytest.approx(8 - 0.4 - LATER_KERNELS_GIB)
    assert str(cap) == "max_memory_gb=8.0"


def test_where_the_driver_does_not_tell_the_usual_context_is_taken(card):
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=None))
    assert cap.context_gib == CONTEXT_GIB and card.fractions == [pytest.approx((8 - CONTEXT_GIB) / 24)]


def test_the_first_product_is_one_that_a_card_without_bfloat16_takes(card):
    apply_memory_cap(8, CudaMeter(process_gib=0.75))
    assert card.dtypes == [torch.float16]


def test_a_cap_above_the_card_is_what_the_card_has(card, caplog):
    card.free_gib = 23.3  # of the rest 0.65 GiB are this process's own
    assert apply_memory_cap(80.0, CudaMeter(process_gib=0.65)).limit_gib == pytest.approx(23.95)
    assert card.fractions == [pytest.approx((23.95 - 0.4 - LATER_KERNELS_GIB) / 24)]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_what_other_processes_have_taken_is_not_promised(card, caplog):
    card.free_gib = 3.0
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert cap.limit_gib == pytest.approx(3.65)
    assert card.fractions == [pytest.approx((3.65 - 0.4 - LATER_KERNELS_GIB) / 24)]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Other processes leave 3.6 GiB of the card where max_memory_gb allows 8.0; the run keeps to 3.6."
    ]


def test_what_is_free_is_for_tensors_and_later_kernels_where_the_driver_does_not_tell(card):
    card.free_gib = 3.0
    cap = apply_memory_cap(8.0, CudaMeter(process_gib=None))
    assert cap.usable_gib == pytest.approx(3.0 + 0.25 - LATER_KERNELS_GIB)


def test_a_card_with_room_is_not_spoken_of(card, caplog):
    apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_card_that_others_have_filled_is_refused_with_what_to_do(card, monkeypatch):
    card.free_gib = 0.0
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2**21)
    with pytest.raises(MemoryPlanError, match=r"Other processes leave 0.45 GiB .* CUDA_VISIBLE_DEVICES"):
        apply_memory_cap(8.0, CudaMeter(process_gib=0.45))
    assert not card.fractions


def test_segments_can_grow_before_the_first_tensor_is_on_the_card(card):
    apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert card.asked[0] == ("settings", "expandable_segments:True")
    assert card.asked[1][0] == "tensor"


@pytest.mark.parametrize("name", allocator.VARIABLES)
def test_the_users_own_allocator_settings_stand(card, monkeypatch, name):
    monkeypatch.setenv(name, "max_split_size_mb:128")
    apply_memory_cap(8.0, CudaMeter(process_gib=0.65))
    assert not [value for what, value in card.asked if what == "settings"]


@pytest.mark.parametrize(
    ("system", "release"), [("win32", "11"), ("linux", "5.15.167.4-microsoft-standard-WSL2")]
)
def test_windows_driver_is_not_asked_for_segments_that_grow(card, monkeypatch, system, release):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.release", lambda: release)
    assert not allocator.use_expandable_segments({})
    assert not card.asked


def test_an_older_torch_is_asked_by_the_older_name(card, monkeypatch):
    monkeypatch.delattr(torch._C, "_accelerator_setAllocatorSettings")
    monkeypatch.setattr(
        torch.cuda.memory, "_set_allocator_settings", lambda text: card.asked.append(("older", text))
    )
    assert allocator.use_expandable_segments({})
    assert card.asked == [("older", "expandable_segments:True")]


def test_a_cap_that_only_the_context_fits_into_is_refused():
    with pytest.raises(MemoryPlanError, match=r"max_memory_gb=0.4 leaves nothing .* set max_memory_gb="):
        planned_cap(0.4)


@pytest.fixture
def host(monkeypatch):
    """A machine or a container of which `available_gib` are left, and a process of half a GiB."""
    host = SimpleNamespace(available_gib=12.0)
    monkeypatch.setattr("qwen_pipeline.memory.cap.available_memory_bytes", lambda: host.available_gib * GIB)
    monkeypatch.setattr("qwen_pipeline.memory.cap.host_memory_bytes", lambda: (GIB // 2, 3 * GIB))
    return host


def test_on_a_cpu_the_plan_keeps_to_what_the_container_leaves(host, caplog):
    caplog.set_level("INFO")
    assert apply_memory_cap(8.0, MemoryMeter("cpu")).limit_gib == 8.0
    assert not caplog.messages
    host.available_gib = 3.0
    cap = apply_memory_cap(8.0, MemoryMeter("cpu"))
    assert cap.usable_gib == pytest.approx(HOST_SHARE * 3.0 - CPU_KERNELS_GIB)
    assert caplog.messages == [
        "The machine or its container has 3.0 GiB of memory left, less than max_memory_gb=8 allows; the plan keeps to it."
    ]
    assert str(cap) == "the free memory of 3.2 GiB"


def test_processes_that_start_together_share_what_the_container_leaves(host):
    cap = apply_memory_cap(8.0, MemoryMeter("cpu"), sharers=3)
    assert cap.limit_gib == pytest.approx(0.5 + HOST_SHARE * 12.0 / 3)


def test_a_container_that_not_even_the_kernels_fit_into_is_refused_with_what_to_do(host):
    host.available_gib = 0.6
    with pytest.raises(MemoryPlanError, match=r"has 0.60 GiB .* take 0.55. End .* give the container more"):
        apply_memory_cap(8.0, MemoryMeter("cpu"))


def test_on_a_cpu_the_plan_alone_keeps_to_the_limit(monkeypatch):
    monkeypatch.setattr("qwen_pipeline.memory.cap.available_memory_bytes", lambda: 12 * GIB)
    resident_gib = host_memory_bytes()[0] / GIB
    cap = apply_memory_cap(4.0, MemoryMeter("cpu"))
    assert cap.limit_gib == 4.0
    assert cap.context_gib == pytest.approx(resident_gib + CPU_KERNELS_GIB, rel=0.05)


def test_what_an_earlier_stage_left_is_let_go_before_memory_is_looked_at():
    class Model:
        def __init__(self) -> None:
            self.me = self  # as models have it, so that only the collector frees them

    left = weakref.ref(Model())
    assert left() is not None
    apply_memory_cap(4.0, MemoryMeter("cpu"))
    assert left() is None


def test_on_a_cpu_a_cap_that_only_the_libraries_fit_into_is_refused():
    with pytest.raises(MemoryPlanError, match=r"max_memory_gb=0.01 leaves nothing beside the libraries"):
        planned_cap(0.01, "cpu")
