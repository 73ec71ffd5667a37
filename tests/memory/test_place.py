"""Models that only read and answer keep to the cap as well."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from qwen_pipeline.memory import place
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.place import keep_to_cap, place_for, room_bytes

CARD, HOST = torch.device("cuda", 0), torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A card of 24 GiB, a third of it allowed and 1 GiB reserved, in a host with 16 GiB to spare."""
    machine = SimpleNamespace(free_gib=20.0, fraction=1 / 3, host_gib=16.0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(machine.free_gib * GIB), 24 * GIB))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: machine.fraction)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: GIB)
    monkeypatch.setattr(place, "available_memory_bytes", lambda: int(machine.host_gib * GIB))
    return machine


def test_room_is_what_the_cap_leaves_or_the_card(machine: SimpleNamespace) -> None:
    assert room_bytes(CARD) == 7 * GIB
    machine.free_gib = 2.5
    assert room_bytes(CARD) == 2.5 * GIB
    machine.free_gib, machine.fraction = 20.0, 1 / 48
    assert room_bytes(CARD) == 0


def test_a_model_goes_on_the_card_only_with_a_fifth_to_spare_under_the_cap(
    machine: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    assert place_for(int(5.8 * GIB), CARD, "The merged model") == CARD
    assert not caplog.records
    assert place_for(int(7.5 * GIB), CARD, "The merged model") == HOST
    assert caplog.messages == [
        "The merged model needs 9.0 GiB of the card, where max_memory_gb and other programs leave 7.0: it goes to the CPU, which is slow."
    ]


def test_a_model_that_fits_nowhere_has_no_place(
    machine: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    machine.host_gib = 8.0
    assert place_for(int(7.5 * GIB), CARD, "The merged model") is None
    assert place_for(int(7.5 * GIB), HOST, "The merged model") is None
    assert place_for(int(6 * GIB), HOST, "The merged model") == HOST
    assert not caplog.records


def test_the_cap_is_for_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[tuple[float, Any]] = []
    released: list[bool] = []
    monkeypatch.setattr(place, "apply_memory_cap", lambda cap, meter: applied.append((cap, meter.device)))
    monkeypatch.setattr(place, "release_memory", lambda: released.append(True))
    keep_to_cap(0.1, HOST)
    assert (applied, released) == ([], [True])
    keep_to_cap(6.0, CARD)
    assert applied == [(6.0, CARD)]
