"""Which card the doctor looks at: the one that CUDA counts as its first."""

import pytest

from qwen_pipeline.doctor.machine import count_like, find_first_card


class TwoCards:
    """Answers as ``pynvml`` where an old card for the display has the first slot."""

    capabilities = {"old": (6, 1), "new": (8, 6)}

    def nvmlDeviceGetCount(self):
        return len(self.capabilities)

    def nvmlDeviceGetHandleByIndex(self, index):
        return list(self.capabilities)[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self.capabilities[handle]


@pytest.mark.parametrize(
    ("visible", "order", "card"),
    [
        (None, None, "new"),
        ("1", None, "old"),
        ("1", "PCI_BUS_ID", "new"),
        ("0,1", "PCI_BUS_ID", "old"),
        ("GPU-1b2c", None, "GPU-1b2c"),
        ("MIG-1b2c,0", None, "MIG-1b2c"),
        ("", None, None),
        ("-1", None, None),
        ("7", None, None),
    ],
)
def test_the_card_is_the_one_that_trains(monkeypatch, visible, order, card):
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert find_first_card(TwoCards()) == card


@pytest.mark.parametrize(("visible", "count"), [(None, 1), ("0,1", 2), ("1", 1)])
def test_cards_of_another_generation_share_no_training_unless_they_are_named(monkeypatch, visible, count):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_like("new", TwoCards()) == count
