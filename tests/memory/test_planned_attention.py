"""What attention is planned to take on a card without the varlen kernel, against the rows one by one."""

from functools import partial

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from qwen_pipeline.memory import planned_attention
from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.model import attention

HEADS, GROUPS, WIDTH = 8, 2, 32


def as_on_a_card(query, key, value, scaling):
    """The memory-efficient kernel wants heads repeated; on a CPU another kernel keeps the same tensors."""
    key, value = (tensor.repeat_interleave(HEADS // GROUPS, dim=1) for tensor in (key, value))
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)


def kept_and_peak(attend, lengths):
    tokens = sum(lengths)
    states = [torch.randn(1, tokens, heads, WIDTH).transpose(1, 2) for heads in (HEADS, GROUPS, GROUPS)]
    query, key, value = (tensor.requires_grad_() for tensor in states)
    with LiveBytes() as memory:
        out, _ = attend(None, query, key, value, None, row_lengths=lengths)
        # as the layer hands it to the output projection, which keeps it
        seen = out.reshape(1, tokens, -1).contiguous()
        del out
        return memory.live / (tokens * HEADS * WIDTH * 4), memory.peak, seen.shape


@pytest.mark.parametrize("lengths", [(1024,), (512, 512), (300, 200, 524)])
def test_rows_one_by_one_keep_what_is_planned(lengths, monkeypatch):
    monkeypatch.setattr(attention, "_kernel", as_on_a_card)
    planned_attention.register_planned_attention(repeats_heads=True)
    real = kept_and_peak(partial(attention.packed_attention, cu_seqlens=torch.tensor(0)), lengths)
    planned = kept_and_peak(planned_attention._planned_repeated, lengths)
    assert real[0] == pytest.approx(planned[0], rel=0.02)
    assert real[1] <= planned[1] * 1.02
