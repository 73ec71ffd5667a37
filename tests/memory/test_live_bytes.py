"""The counter of live tensor bytes."""

import torch

from qwen_pipeline.memory.live_bytes import LiveBytes, rounded_bytes


def test_counts_what_lives_and_remembers_the_most():
    with LiveBytes() as memory:
        first = torch.ones(1024)
        second = torch.ones(2048)
        assert memory.live == 4096 + 8192
        del second
        assert (memory.live, memory.peak) == (4096, 12288)
        memory.reset_peak()
        assert memory.peak == 4096
    assert first.sum() == 1024


def test_small_requests_are_rounded_as_the_allocator_does():
    with LiveBytes() as memory:
        kept = [torch.ones(1) for _ in range(3)]
    assert memory.live == 3 * 512 and len(kept) == 3
    assert [rounded_bytes(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]


def test_views_and_in_place_results_count_once():
    with LiveBytes() as memory:
        whole = torch.ones(1024)
        kept = (whole.view(32, 32), whole[:5], whole.add_(1))
    assert memory.live == 4096 and len(kept) == 3


def test_tensors_made_elsewhere_count_only_when_handed_over():
    outside, given = torch.ones(1024), torch.ones(1024)
    with LiveBytes() as memory:
        assert memory.follow(given) == 4096
        kept = (outside.t(), given.t())
    assert memory.live == 4096 and len(kept) == 2


def test_each_change_is_reported():
    changes = []
    with LiveBytes(lambda live, name: changes.append((live, name))):
        passing = torch.ones(1024)
        del passing
    assert changes == [(4096, "aten.ones.default"), (0, "free")]
