"""Whether a card or the processor that feeds it sets the pace.

Every pass over a layer costs the host some hundred calls, however few the tokens are, and a card computes while the host makes the next
ones. A micro-batch with fewer tokens than the card gets through in that time leaves the card waiting.
"""

import math
import time
from typing import Any

import torch

# Small additions that take the host as long as one pass over one layer, forward or backward, and the share of the matrix rate that a
# pass reaches, attention and all. Fitted to one machine, Qwen3-4B on an H200 (benchmarks/LOG.md): a pass over a layer took its host 3 ms,
# in which the card gets through 6,000 tokens; 400 calls gave 4,096 there, so that these should give 8,192. Not measured since.
CALLS_A_LAYER = 800
SHARE_OF_RATE = 0.5
_CALLS = 200


def measure_host_tokens(config: Any, device: torch.device) -> float:
    """Tokens that the card gets through while the host makes the calls of a pass, as a power of two; 0 without a card.

    Args:
        config: A transformers configuration of a decoder.
        device: Where the training runs.

    Returns:
        A power of two, so that two measurements of one machine make the same plan.
    """
    if device.type != "cuda" or not torch.cuda.is_available():
        return 0.0
    operations = 2.0 * linear_elements_a_layer(config)
    tokens = CALLS_A_LAYER * _seconds_a_call(device) * SHARE_OF_RATE * matrix_rate(device) / operations
    return float(2 ** round(math.log2(max(tokens, 1.0))))


def linear_elements_a_layer(config: Any) -> int:
    """Elements of the linear weights of one decoder layer."""
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = 2 * config.num_attention_heads + 2 * config.num_key_value_heads
    return int(config.hidden_size * (heads * head_dim + 3 * config.intermediate_size))


def _seconds_a_call(device: torch.device) -> float:
    x = torch.zeros(8, device=device)
    best = math.inf
    for _ in range(4):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(_CALLS):
            x.add_(1.0)
        best = min(best, (time.perf_counter() - start) / _CALLS)
    return best


def matrix_rate(device: torch.device, side: int = 4096, repeats: int = 5) -> float:
    """Operations a second of products in 16 bits: the best of some.

    Args:
        device: Where.
        side: Of the square matrices.
        repeats: Products that are timed.
    """
    on_gpu = device.type == "cuda"
    has_bfloat16 = not on_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    dtype = torch.bfloat16 if has_bfloat16 else torch.float16
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = math.inf
    for _ in range(repeats):
        if on_gpu:
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        torch.mm(left, right)
        if on_gpu:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return float(2 * side**3 / best)
