"""Trained tokens a second on a card, beside the peer, and the share of the card's matrix rate."""

import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_limits import make_stepper, matrix_rate, useful_operations
from gpu_model import Rows, build_model, make_rows, peer_step
from torch import nn

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import planned_cap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.recovery import is_out_of_memory, release_memory
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.memory_recipe import step_recipe


def measure_throughput(config: Any, device: torch.device, tiny: bool, repeats: int) -> dict[str, Any]:
    """Trained tokens a second of all modes, in turns, on the same rows, ours as the plan chooses for 16 GB."""
    generator = torch.Generator().manual_seed(2)
    median, most = (40, 128) if tiny else (400, 2048)
    spread = torch.randn(8 if tiny else 16, generator=generator).mul(0.7).exp().mul(median)
    rows = make_rows([int(min(most, max(16, value))) for value in spread], config.vocab_size)
    model = build_model(config, device, torch.bfloat16, 16)
    plan = None if tiny else plan_for(config, rows, device)
    limits = (plan.max_rows, plan.max_tokens, plan.policy) if plan else (8, 256, ActivationPolicy(None))
    by_length = sorted(rows, key=lambda row: len(row["input_ids"]))
    ours = make_stepper(model, device, *limits)

    def plain(order: Rows) -> None:
        for start in range(0, len(order), 4):
            peer_step(model, order[start : start + 4], device, True)

    modes: dict[str, tuple[ActivationPolicy, Callable[[], Any]]] = {
        "ours": (limits[2], lambda: (ours_attention(model), ours.accumulate(rows))),
        "plain": (ActivationPolicy(0), lambda: plain(rows)),
        "plain, grouped, kept": (ActivationPolicy(None), lambda: plain(by_length)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in modes}
    for repeat in range(repeats + 1):
        for name, (policy, step) in modes.items():
            apply_activation_policy(model, policy)
            taken = time_step(step, device)
            model.zero_grad(set_to_none=True)
            if repeat and taken is not None:
                seconds[name].append(taken)
    tokens = sum(label != -100 for row in rows for label in row["labels"][1:])
    rates = {name: sorted(tokens / value for value in values) for name, values in seconds.items()}
    middle = {name: values[len(values) // 2] for name, values in rates.items() if values}
    best = max((rate for name, rate in middle.items() if name != "ours"), default=float("nan"))
    matrix = matrix_rate(device, 256 if tiny else 8192)
    return {
        "settings": [limits[0], limits[1], str(limits[2])],
        "tokens_per_second": rates,
        "ratio": middle["ours"] / middle["plain"],
        "ratio_to_best": middle["ours"] / best,
        "matrix_rate": matrix,
        "share_of_matrix_rate": useful_operations(model, config, rows) * middle["ours"] / tokens / matrix,
    }


def ours_attention(model: nn.Module) -> None:
    model.get_base_model().set_attn_implementation(register_packed_attention())


def plan_for(config: Any, rows: Rows, device: torch.device, cap_gb: float = 16.0) -> Any:
    """The fastest settings for these rows under a cap."""
    on_gpu = device.type == "cuda"
    cap = planned_cap(cap_gb, device.type)
    recipe = step_recipe(lora_r=16, lora_alpha=32, on_gpu=on_gpu)
    lengths = [len(row["input_ids"]) for row in rows]
    return make_plan(PlanRequest(config, recipe, lengths, len(rows), cap, on_gpu=on_gpu))


def time_step(step: Callable[[], Any], device: torch.device) -> float | None:
    """Seconds that it takes; None where it runs out of memory."""
    start = time.perf_counter()
    try:
        step()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        release_memory()
        return None
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
