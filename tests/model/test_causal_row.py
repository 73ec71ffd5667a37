"""Attention by matrix products is the kernel's attention, forward and backward."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from qwen_pipeline.model.causal_row import BLOCK_QUERIES, causal_row_attention


def tensors(length: int, heads: int, keys: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)
    shapes = [(heads, length, 16), (keys, length, 16), (keys, length, 16)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def results(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return [out, *torch.autograd.grad((out.float() * weights).sum(), inputs)]


@pytest.mark.parametrize("length", [1, 2, 65, BLOCK_QUERIES, BLOCK_QUERIES + 1, 2 * BLOCK_QUERIES + 77])
@pytest.mark.parametrize(("heads", "keys"), [(4, 4), (6, 2), (4, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_output_and_gradients_are_those_of_the_plain_attention(
    length: int, heads: int, keys: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = tensors(length, heads, keys, dtype)
    found = results(causal_row_attention(*inputs, scaling=0.3), inputs)
    exact = [tensor.detach().float().requires_grad_() for tensor in inputs]
    plain = scaled_dot_product_attention(
        *(tensor[None] for tensor in exact), is_causal=True, scale=0.3, enable_gqa=True
    )
    wanted = results(plain[0], exact)
    largest = max(float(tensor.detach().norm()) for tensor in wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        assert float((one.detach().float() - other.detach()).norm()) <= tolerance * largest


def test_the_gradients_of_keys_and_values_lose_nothing_by_being_summed_over_many_blocks() -> None:
    inputs = tensors(16 * BLOCK_QUERIES, 4, 1, torch.bfloat16)
    _, *found = results(causal_row_attention(*inputs, scaling=0.3), inputs)
    exact = [tensor.detach().float().requires_grad_() for tensor in inputs]
    plain = scaled_dot_product_attention(
        *(tensor[None] for tensor in exact), is_causal=True, scale=0.3, enable_gqa=True
    )
    _, *wanted = results(plain[0], exact)
    of_queries, *of_keys_and_values = (
        float((one.float() - other).norm() / other.norm()) for one, other in zip(found, wanted, strict=True)
    )
    assert all(error < 1.1 * of_queries for error in of_keys_and_values)


def test_a_token_does_not_see_what_comes_after_it() -> None:
    query, key, value = (tensor.detach() for tensor in tensors(300, 2, 1, torch.float32))
    before = causal_row_attention(query, key, value, 0.3)
    key[:, 200:], value[:, 200:] = 9.0, 9.0
    after = causal_row_attention(query, key, value, 0.3)
    assert torch.equal(before[:, :200], after[:, :200])
    assert not torch.equal(before[:, 200:], after[:, 200:])
