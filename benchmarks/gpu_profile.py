"""Where the time of one step goes: the kernels of the device, and how long the host takes to call them."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from gpu_limits import make_stepper
from gpu_model import build_model
from gpu_report import Part
from gpu_throughput import chat_rows
from torch.profiler import ProfilerActivity, profile

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy, decoder_layers

MOST_KERNELS, RECOMPUTING_TURNS = 25, 3


def profile_step(part: Part, config: Any, device: torch.device, tiny: bool) -> None:
    """One step of one micro-batch, all activations kept and no cap: what the kernels take, and what the host does."""
    rows = chat_rows(config, tiny)
    tokens = sum(len(row["input_ids"]) for row in rows)
    model = build_model(config, device, torch.bfloat16, 16)
    stepper = make_stepper(model, device, (len(rows), tokens, ActivationPolicy(None)), [])

    def step() -> tuple[float, float]:
        """Seconds until the host is done, and until the device is."""
        start = time.perf_counter()
        stepper.accumulate(rows)
        stepper.update()
        called = time.perf_counter() - start
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return called, time.perf_counter() - start

    step()
    called, taken = min(step() for _ in range(3))
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
        step()
    spent = [
        (event.key, event.self_device_time_total if on_gpu else event.self_cpu_time_total, event.count)
        for event in found.key_averages()
        if not on_gpu or event.device_type == torch.autograd.DeviceType.CUDA
    ]
    longest = sorted(spent, key=lambda one: -one[1])[:MOST_KERNELS]
    part.note(
        tokens=tokens,
        step_ms=taken * 1e3,
        host_ms=called * 1e3,
        kernels_ms=sum(microseconds for _, microseconds, _ in spent) / 1e3,
        longest=[[name[:100], microseconds / 1e3, count] for name, microseconds, count in longest],
        recomputing_ms=time_recomputing(model, step),
    )


def time_recomputing(model: Any, step: Callable[[], tuple[float, float]]) -> dict[str, list[float]]:
    """Milliseconds of a step with all layers recomputed, their last product left out or not, in turns."""
    layers, found = decoder_layers(model), {"last product left out": [], "whole": []}
    own = [layer.recomputing for layer in layers]
    for turn in range(RECOMPUTING_TURNS + 1):
        for name, times in found.items():
            for layer, context in zip(layers, own, strict=True):
                layer.recomputing = nullcontext if name == "whole" else context
            apply_activation_policy(model, ActivationPolicy(0))
            taken = step()[1]
            if turn:  # the first of each is not counted
                times.append(taken * 1e3)
    for layer, context in zip(layers, own, strict=True):
        layer.recomputing = context
    return {name: sorted(times) for name, times in found.items()}
