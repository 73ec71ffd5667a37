"""One tensor for the optimiser: the steps of many tensors, and the model sees them."""

import torch
from torch import nn

from qwen_pipeline.training.flat_parameters import FlatParameters, flatten_parameters


def make_weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 5), (7,), (2, 2, 2))]


def give_gradients(weights: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_steps_are_those_of_the_weights_one_by_one_group_by_group() -> None:
    apart, together = make_weights(), make_weights()

    def groups(weights: list[nn.Parameter]) -> list[dict[str, object]]:
        return [
            {"params": weights[:2], "lr": 0.1},
            {"params": [], "lr": 0.5},
            {"params": weights[2:], "lr": 0.01},
        ]

    plain, flat = torch.optim.AdamW(groups(apart)), torch.optim.AdamW(groups(together))
    parts = flatten_parameters(flat)
    assert [len(group["params"]) for group in flat.param_groups] == [1, 0, 1]
    for step in range(4):
        give_gradients(apart, step)
        give_gradients(together, step)
        for part in parts:
            part.gather_gradients()
        plain.step()
        flat.step()
        for part in parts:
            part.forget_gradients()
        assert all(weight.grad is None for weight in together)
    for one, other in zip(apart, together, strict=True):
        torch.testing.assert_close(one, other)


def test_a_gradient_that_is_changed_flat_is_changed_for_the_weights_and_a_missing_one_is_zero() -> None:
    weights = make_weights()
    part = FlatParameters(weights)
    give_gradients(weights[:2], 1)
    before = weights[0].grad.clone()
    flat = part.gather_gradients()
    flat.grad.mul_(2)
    assert torch.equal(weights[0].grad, 2 * before)
    assert not weights[2].grad.any()


def test_weights_that_are_loaded_in_place_are_what_the_optimiser_sees() -> None:
    weights = make_weights()
    part = FlatParameters(weights)
    with torch.no_grad():
        weights[1].copy_(torch.arange(7.0))
    assert torch.equal(part.flat[15:22], torch.arange(7.0))
