"""Training on a card: parity, plan against measured peaks, recovery, throughput. One command, under 10 minutes.

    python benchmarks/bench_train_gpu.py [--config DIRECTORY] [--tiny] > result.json

Needs torch >= 2.11, transformers >= 5.17, peft and bitsandbytes; no data and no weights: the model has
Qwen3-4B's shape (or that of --config) and random weights. `--tiny` runs the same code on a CPU in a minute,
with the counter of live tensor bytes in the place of the allocator's.

The peer is plain transformers + peft as a Trainer runs it: padded rows, logits of all tokens, all layers recomputed (its default) or,
in its best mode, rows grouped by length and all activations kept. It runs on this project's fused layers too, which flatters it. Rows have
the lengths of a chat data set (log-normal, median 400 tokens). Limits that are not about a peer are in `gpu_limits.py`.
"""

import argparse
import gc
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_limits import long_row, step_peak
from gpu_model import QWEN3_4B, TINY, Rows, build_model, make_rows, measured_peak, our_step, peer_step
from gpu_throughput import measure_throughput
from torch import Tensor, nn
from transformers import AutoConfig, Qwen3Config

from qwen_pipeline.chat.packing import pack
from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import apply_memory_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.planner import Planner, TracedSteps
from qwen_pipeline.memory.recovery import is_out_of_memory, release_memory, run_or_split
from qwen_pipeline.memory.transaction import GradientTransaction
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.memory_recipe import step_recipe
from qwen_pipeline.training.step import packed_loss


def check_plan(config: Any, device: torch.device, tiny: bool) -> list[dict[str, Any]]:
    """Planned against measured: 30 configurations (ranks, lengths, policies) under five caps; a failure is an error of the plan."""
    on_gpu, found = device.type == "cuda", []
    lengths, caps = ([64, 192], [2]) if tiny else ([512, 1024, 2048, 4096, 8192], [4, 6, 8, 12, 16])
    some = [ActivationPolicy(0), ActivationPolicy(2)]
    policies = (
        some if tiny else [ActivationPolicy(0), ActivationPolicy(0, offload=True), ActivationPolicy(12)]
    )
    for rank in [8] if tiny else [8, 32]:
        model = build_model(config, device, torch.bfloat16, rank)
        recipe = step_recipe(lora_r=rank, lora_alpha=2 * rank, on_gpu=on_gpu)
        traced: TracedSteps = {}
        for cap_gb in caps:
            cap = apply_memory_cap(cap_gb, MemoryMeter(device))
            for tokens in lengths:
                for policy in policies:
                    request = PlanRequest(
                        config, recipe, [tokens], 1, cap, policy=policy, optim="sgd", on_gpu=on_gpu,
                    )  # fmt: skip
                    plan = Planner(request, traced).plan(tokens, policy, 1)
                    found.append(run_planned(model, config, plan, device))
        del model
        release_memory()
    if on_gpu:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    return found


def run_planned(model: nn.Module, config: Any, plan: Any, device: torch.device) -> dict[str, Any]:
    """One step under one plan: sizes, and whether it ran where the plan said that it fits."""
    record = {
        "cap_gb": plan.cap.limit_gib, "tokens": plan.max_tokens, "policy": str(plan.policy),
        "fits": plan.fits, "planned_gib": plan.parts.allocated / GIB,
    }  # fmt: skip
    if not plan.fits:
        return record
    apply_activation_policy(model, plan.policy)
    rows = make_rows([plan.max_tokens], config.vocab_size, prompt_share=0.0)
    model.zero_grad(set_to_none=True)
    try:
        peak = measured_peak(model, lambda: our_step(model, rows, device, True), device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return {**record, "failed": str(error).splitlines()[0]}
    return {**record, "measured_gib": peak / GIB, "error": peak / plan.parts.allocated - 1}


def check_parity(device: torch.device) -> dict[str, float]:
    """Packed step on the device against the padded peer's, in float32, and recovery against none."""
    config = Qwen3Config(**TINY)
    model = build_model(config, device, torch.float32, 8)
    apply_activation_policy(model, ActivationPolicy(0))
    rows = make_rows([60, 33, 17, 48], config.vocab_size)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradient(run: Callable[[], Any]) -> Tensor:
        model.zero_grad(set_to_none=True)
        run()
        return torch.cat([parameter.grad.flatten().double() for parameter in trained])

    def loss_sum(part: Rows) -> Tensor:
        model.get_base_model().set_attn_implementation(register_packed_attention())
        loss = packed_loss(model, pack(part, device))
        if len(part) > 1 and failing:
            raise torch.OutOfMemoryError("injected")
        loss.backward()
        return loss.detach()

    failing: list[bool] = []
    whole = gradient(lambda: loss_sum(rows))
    failing.append(True)
    recovered = gradient(
        lambda: run_or_split(
            rows,
            run=loss_sum,
            split=lambda part: [part[: len(part) // 2], part[len(part) // 2 :]] if len(part) > 1 else [part],
            transaction=GradientTransaction(trained, device),
        )
    )
    tokens = sum(label != -100 for row in rows for label in row["labels"][1:])
    peer = gradient(lambda: peer_step(model, rows, device, False)) * tokens
    return {
        "gradient_against_peer": float((whole - peer).norm() / peer.norm()),
        "gradient_after_recovery": float((recovered - whole).norm() / whole.norm()),
    }


def check_limits(config: Any, device: torch.device, tiny: bool) -> dict[str, Any]:
    """Peak of whole steps, and a long row under a small cap."""
    model = build_model(config, device, torch.bfloat16, 16)
    tokens, longest = (128, 256) if tiny else (2048, 8192)
    two = make_rows([tokens, tokens], config.vocab_size)
    one = make_rows([longest], config.vocab_size)
    return {
        "step": step_peak(model, two, tokens, device, measured_peak),
        "long_row": long_row(model, one, device, measured_peak),
    }


def main() -> None:
    """Run everything and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="a folder with config.json; Qwen3-4B's shape by default")
    parser.add_argument("--tiny", action="store_true", help="a small shape, also on a CPU")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu" and not arguments.tiny:
        raise SystemExit("There is no CUDA device here; --tiny runs the same code on a CPU.")
    shape = Qwen3Config(**(TINY if arguments.tiny else QWEN3_4B))
    config = AutoConfig.from_pretrained(arguments.config) if arguments.config else shape
    start = time.perf_counter()
    result: dict[str, Any] = {
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "parity": check_parity(device),
    }
    gc.collect()
    try:
        result["plan"] = check_plan(config, device, arguments.tiny)
    except MemoryPlanError as error:
        result["plan_error"] = str(error)
    result["limits"] = check_limits(config, device, arguments.tiny)
    release_memory()
    result["throughput"] = measure_throughput(config, device, arguments.tiny, arguments.repeats)
    result["seconds"] = time.perf_counter() - start
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
