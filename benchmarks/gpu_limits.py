"""What the benchmark for a card holds against fixed limits: matrix rate, peak of a whole step, a long row under a small cap.

The step is the loop's own (`training.step.Stepper`) with a paged 8-bit optimiser; on a CPU, at a tiny size, the same code runs with
the counter of live tensor bytes in the place of the allocator's.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import bitsandbytes
import torch
from gpu_grid import set_fraction
from gpu_model import Rows, build_model, make_rows, measured_peak, ran_out_of_memory
from gpu_report import Part, describe
from torch import nn

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import apply_memory_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.recovery import OutOfMemoryEvent
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.step import Stepper

STEP_PEAK_GIB, LONG_ROW_CAP_GB = 3.6, 8.0


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
    model: nn.Module,
    device: torch.device,
    limits: tuple[int, int, ActivationPolicy],
    recoveries: list[OutOfMemoryEvent],
) -> Stepper:
    """The loop's stepper over a model, in bfloat16.

    Args:
        model: A PEFT model.
        device: Where it is.
        limits: Rows and tokens of a micro-batch, and what layers keep.
        recoveries: Every time that memory ran out is added here: what was rescued has not met a limit.
    """
    max_rows, max_tokens, policy = limits
    apply_activation_policy(model, policy)
    model.get_base_model().set_attn_implementation(register_packed_attention())
    on_gpu = device.type == "cuda"
    kind = bitsandbytes.optim.PagedAdamW8bit if on_gpu else bitsandbytes.optim.AdamW8bit
    return Stepper(
        model=model, optimiser=kind([p for p in model.parameters() if p.requires_grad], lr=1e-4), device=device,
        compute_dtype=torch.bfloat16, scaler=torch.amp.GradScaler(device.type, enabled=False), max_grad_norm=1.0,
        max_rows=max_rows, max_tokens=max_tokens, on_event=recoveries.append,
    )  # fmt: skip


def check_limits(part: Part, config: Any, device: torch.device, tiny: bool) -> None:
    """Peak of whole steps, and a long row under a small cap."""
    model = build_model(config, device, torch.bfloat16, 16)
    tokens, longest = (128, 256) if tiny else (2048, 8192)
    two, one = (make_rows(lengths, config.vocab_size) for lengths in ([tokens, tokens], [longest]))
    part.attempt("step", lambda inner: inner.note(**step_peak(model, two, tokens, device)), share=0.5)
    part.attempt("long_row", lambda inner: inner.note(**long_row(model, one, device)))


def step_peak(model: nn.Module, rows: Rows, tokens: int, device: torch.device) -> dict[str, Any]:
    """Peak of whole steps of micro-batches of ``tokens`` tokens, optimiser included, all layers recomputed."""
    recoveries: list[OutOfMemoryEvent] = []
    stepper = make_stepper(model, device, (len(rows), tokens, ActivationPolicy(0)), recoveries)

    def steps() -> None:
        for _ in range(2):  # the second has the optimiser's state
            stepper.accumulate(rows)
            stepper.update()

    return {"tokens": tokens, **hold_against_limit(model, steps, device, STEP_PEAK_GIB, recoveries)}


def long_row(model: nn.Module, rows: Rows, device: torch.device) -> dict[str, Any]:
    """Whether one row of many tokens trains under a small cap."""
    tokens, recoveries = len(rows[0]["input_ids"]), []
    stepper = make_stepper(model, device, (1, tokens, ActivationPolicy(0)), recoveries)
    try:
        cap = apply_memory_cap(LONG_ROW_CAP_GB, MemoryMeter(device))
        found = hold_against_limit(
            model, lambda: stepper.accumulate(rows), device, cap.usable_gib, recoveries
        )
        return {"tokens": tokens, "cap_gb": LONG_ROW_CAP_GB, **found}
    finally:
        set_fraction(1.0, device)


def hold_against_limit(
    model: nn.Module,
    run: Callable[[], Any],
    device: torch.device,
    limit_gib: float,
    recoveries: list[OutOfMemoryEvent],
) -> dict[str, Any]:
    """The peak of what ``run`` does; the limit is met without running out of memory and being rescued.

    Args:
        model: What it trains; its gradients are dropped afterwards.
        run: Does it.
        device: Where.
        limit_gib: Most that tensors may hold.
        recoveries: Filled by the stepper in ``run``.
    """
    record: dict[str, Any] = {"limit_gib": limit_gib}
    try:
        record["peak_gib"] = measured_peak(model, run, device) / GIB
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        record["failed"] = describe(error)
    finally:
        model.zero_grad(set_to_none=True)
    record["recoveries"] = [asdict(event) for event in recoveries]
    record["met"] = not recoveries and record.get("peak_gib", float("inf")) <= limit_gib
    return record
