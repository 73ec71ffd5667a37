"""What the benchmark for a card holds against fixed limits: matrix rate, peak of a whole step, a long row under a small cap.

The step is the loop's own (`training.step.Stepper`) with a paged 8-bit optimiser; on a CPU, at a tiny size, the same code runs with
the counter of live tensor bytes in the place of the allocator's.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import bitsandbytes
import torch
from torch import nn

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import apply_memory_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.recovery import is_out_of_memory
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.step import Stepper

STEP_PEAK_GIB, LONG_ROW_CAP_GB = 3.6, 8.0
Rows = Sequence[dict[str, Any]]
Peak = Callable[[nn.Module, Callable[[], Any], torch.device], int]


def matrix_rate(device: torch.device, size: int, repeats: int = 20) -> float:
    """Operations a second of bfloat16 products of ``size`` squared matrices: the best of some."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def useful_operations(model: nn.Module, config: Any, rows: Rows) -> float:
    """Products that a step cannot do without: forward and input gradient of each layer, and of the head where labelled.

    Recomputing, attention and adapters are not counted, so that what is derived from it is a lower bound.
    """
    linear = sum(
        module.in_features * module.out_features
        for module in model.modules()
        if isinstance(module, bitsandbytes.nn.Linear4bit)
    )
    tokens = sum(len(row["input_ids"]) for row in rows)
    labelled = sum(label != -100 for row in rows for label in row["labels"][1:])
    return 4.0 * (linear * tokens + config.hidden_size * config.vocab_size * labelled)


def make_stepper(
    model: nn.Module, device: torch.device, max_rows: int, max_tokens: int, policy: ActivationPolicy
) -> Stepper:
    """The loop's stepper over a model, in bfloat16."""
    apply_activation_policy(model, policy)
    model.get_base_model().set_attn_implementation(register_packed_attention())
    on_gpu = device.type == "cuda"
    kind = bitsandbytes.optim.PagedAdamW8bit if on_gpu else bitsandbytes.optim.AdamW8bit
    return Stepper(
        model=model, optimiser=kind([p for p in model.parameters() if p.requires_grad], lr=1e-4), device=device,
        compute_dtype=torch.bfloat16, scaler=torch.amp.GradScaler(device.type, enabled=False), max_grad_norm=1.0,
        max_rows=max_rows, max_tokens=max_tokens, on_event=lambda event: None,
    )  # fmt: skip


def step_peak(model: nn.Module, rows: Rows, tokens: int, device: torch.device, peak: Peak) -> dict[str, Any]:
    """Peak of whole steps of micro-batches of ``tokens`` tokens, optimiser included, all layers recomputed."""
    stepper = make_stepper(model, device, len(rows), tokens, ActivationPolicy(0))

    def steps() -> None:
        for _ in range(2):  # the second has the optimiser's state
            stepper.accumulate(rows)
            stepper.update()

    found = peak(model, steps, device) / GIB
    return {"tokens": tokens, "peak_gib": found, "limit_gib": STEP_PEAK_GIB, "met": found <= STEP_PEAK_GIB}


def long_row(model: nn.Module, rows: Rows, device: torch.device, peak: Peak) -> dict[str, Any]:
    """Whether one row of many tokens trains under a small cap."""
    apply_memory_cap(LONG_ROW_CAP_GB, MemoryMeter(device))
    tokens = len(rows[0]["input_ids"])
    stepper = make_stepper(model, device, 1, tokens, ActivationPolicy(0))
    record: dict[str, Any] = {"tokens": tokens, "cap_gb": LONG_ROW_CAP_GB}
    try:
        return record | {"peak_gib": peak(model, lambda: stepper.accumulate(rows), device) / GIB, "met": True}
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return record | {"failed": str(error).splitlines()[0], "met": False}
    finally:
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0, device)
