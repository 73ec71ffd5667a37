"""The time told before the first step."""

import torch

from qwen_pipeline.training.estimate import estimate_seconds, measure_products
from qwen_pipeline.training.recorder import duration

CPU = torch.device("cpu")


def test_time_grows_with_tokens_and_with_recomputation() -> None:
    model = torch.nn.Linear(512, 512).requires_grad_(False)
    once, tenfold, recomputed = (
        estimate_seconds(model, tokens, share, CPU, torch.float32)
        for tokens, share in ((10**4, 0.0), (10**5, 0.0), (10**5, 1.0))
    )
    assert 3 < tenfold / once < 30
    assert 0.6 < recomputed / tenfold < 4


def test_measuring_draws_no_random_number() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert measure_products(CPU, torch.float32) > 1e8
    assert torch.equal(before, torch.get_rng_state())


def test_durations_read_as_a_person_says_them() -> None:
    assert [duration(s) for s in (4.2, 89, 90, 3600, 12_000)] == [
        "4 s",
        "89 s",
        "2 min",
        "60 min",
        "3 h 20 min",
    ]
