"""Packed rows do not see each other, whichever kernel computes."""

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from qwen_pipeline.model import attention
from qwen_pipeline.model.attention import has_varlen_kernel, packed_attention

LENGTHS = (5, 1, 9)
STARTS = torch.tensor([0, 5, 6, 15], dtype=torch.int32)


def states(heads: int, kv_heads: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    shapes = [(1, heads, 15, 8), (1, kv_heads, 15, 8), (1, kv_heads, 15, 8)]
    return tuple(torch.randn(shape, requires_grad=True) for shape in shapes)


def masked(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The plain way: one mask of tokens times tokens."""
    owner = torch.repeat_interleave(torch.arange(3), torch.tensor(LENGTHS))
    mask = (owner[:, None] == owner[None]) & torch.ones(15, 15, dtype=torch.bool).tril()
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True
    ).transpose(1, 2)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_output_and_gradients_are_those_of_a_block_mask(kv_heads: int) -> None:
    inputs = states(4, kv_heads)
    ours, _ = packed_attention(None, *inputs, None, row_lengths=LENGTHS, cu_seqlens=STARTS, scaling=0.3)
    plain = masked(*inputs)
    torch.testing.assert_close(ours, plain)
    weight = torch.randn_like(plain)
    gradients = [torch.autograd.grad(out, inputs, weight, retain_graph=True) for out in (ours, plain)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("lengths", [(70, 20, 300), (64, 65), (5,)])
def test_in_16_bits_on_a_cpu_rows_of_every_length_are_those_of_float32(lengths: tuple[int, ...]) -> None:
    exact = [torch.randn(1, heads, sum(lengths), 8).requires_grad_() for heads in (4, 2, 2)]
    half = [tensor.detach().bfloat16().requires_grad_() for tensor in exact]
    outs = [
        packed_attention(None, *inputs, None, row_lengths=lengths, cu_seqlens=STARTS, scaling=0.3)[0]
        for inputs in (half, exact)
    ]
    weight = torch.randn_like(outs[1])
    found = [outs[0], *torch.autograd.grad(outs[0].float(), half, weight)]
    wanted = [outs[1], *torch.autograd.grad(outs[1], exact, weight)]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.bfloat16
        assert float((one.detach() - other.detach()).norm() / other.detach().norm()) < 2e-2


def test_the_cuda_kernel_is_given_rows_heads_and_scale_as_it_wants_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kernel(
        query: Any, key: Any, value: Any, starts: Any, key_starts: Any, longest: int, key_longest: int, *,
        scale: float, window_size: tuple[int, int], enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        assert (longest, key_longest) == (9, 9)
        assert window_size == (-1, 0)
        assert starts is key_starts is STARTS
        assert query.shape == (15, 4, 8) and key.shape == (15, 2, 8)
        assert enable_gqa
        rows = []
        for start, end in zip(starts.tolist()[:-1], starts.tolist()[1:], strict=True):
            part = (tensor[start:end].transpose(0, 1)[None] for tensor in (query, key, value))
            rows.append(scaled_dot_product_attention(*part, is_causal=True, scale=scale, enable_gqa=True)[0])
        return torch.cat(rows, dim=1).transpose(0, 1)

    monkeypatch.setattr(attention, "has_varlen_kernel", lambda device, dtype: True)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    inputs = states(4, 2)
    ours, _ = packed_attention(None, *inputs, None, row_lengths=LENGTHS, cu_seqlens=STARTS, scaling=0.3)
    torch.testing.assert_close(ours, masked(*inputs))


def test_the_kernel_is_not_asked_for_on_a_cpu_nor_in_float32() -> None:
    assert not has_varlen_kernel(torch.device("cpu"), torch.bfloat16)
    assert not has_varlen_kernel(torch.device("cuda"), torch.float32)


@pytest.mark.parametrize(
    ("capability", "runs"), [((7, 5), False), ((8, 0), True), ((8, 6), True), ((12, 0), True)]
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cards_before_ampere_go_row_by_row(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], runs: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert has_varlen_kernel(torch.device("cuda", 0), dtype) is runs
