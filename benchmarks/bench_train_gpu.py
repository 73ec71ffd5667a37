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
from collections.abc import Callable, Sequence
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from gpu_limits import long_row, make_stepper, matrix_rate, step_peak, useful_operations
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, Qwen3Config

from qwen_pipeline.chat.packing import pack
from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import apply_memory_cap, planned_cap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.planner import Planner, TracedSteps
from qwen_pipeline.memory.recovery import is_out_of_memory, release_memory, run_or_split
from qwen_pipeline.memory.trace import follow_model
from qwen_pipeline.memory.transaction import GradientTransaction
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.memory_recipe import step_recipe
from qwen_pipeline.training.step import packed_loss

QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151_936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip
TINY: dict[str, Any] = {
    "vocab_size": 2048, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 5,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True,
}  # fmt: skip
Rows = Sequence[dict[str, Any]]


def build_model(config: Any, device: torch.device, dtype: torch.dtype, rank: int) -> nn.Module:
    """Random weights of the given shape, quantised one layer at a time on the device, with adapters."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and child is not head:
                setattr(parent, name, quantised(child, device, dtype))
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.device.type == "meta":
                values = torch.ones if parameter.dim() == 1 else torch.randn
                data = values(parameter.shape, device=device, dtype=dtype)
                module._parameters[name] = nn.Parameter(data if parameter.dim() == 1 else data * 0.02, False)
    model.tie_weights()
    rotary = type(model.model.rotary_emb)
    with device:
        model.model.rotary_emb = rotary(config)
    model.is_loaded_in_4bit = True
    return step_recipe(lora_r=rank, lora_alpha=2 * rank).attach_adapters(model.requires_grad_(False)).train()


def quantised(linear: nn.Linear, device: torch.device, dtype: torch.dtype) -> Linear4bit:
    module = Linear4bit(
        linear.in_features, linear.out_features, bias=False, compute_dtype=dtype, device="meta"
    )
    weight = torch.randn(linear.out_features, linear.in_features, device=device, dtype=dtype) * 0.02
    module.weight = Params4bit(weight, requires_grad=False, quant_type="nf4").to(device)
    return module


def make_rows(lengths: Sequence[int], vocabulary: int, prompt_share: float = 1 / 3) -> Rows:
    """Rows of random tokens that begin with an unlabelled prompt."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for number, length in enumerate(lengths):
        ids = torch.randint(vocabulary, (length,), generator=generator).tolist()
        prompt = int(length * prompt_share)
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:], "example_id": str(number)})
    return rows


def our_step(model: nn.Module, rows: Rows, device: torch.device, bf16: bool) -> Tensor:
    """Forward and backward of one micro-batch as the loop does them."""
    model.get_base_model().set_attn_implementation(register_packed_attention())
    batch = pack(rows, device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        loss = packed_loss(model, batch)
    (loss / batch.targets.numel()).backward()
    return loss.detach()


def peer_step(model: nn.Module, rows: Rows, device: torch.device, bf16: bool) -> Tensor:
    """The same rows padded to the longest, with transformers' own loss over all logits."""
    model.get_base_model().set_attn_implementation("sdpa")
    longest = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, value: int) -> Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows], device=device)

    mask = padded("labels", -200) != -200
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        loss = model(
            input_ids=padded("input_ids", 0), attention_mask=mask.long(), labels=padded("labels", -100),
            use_cache=False,
        ).loss  # fmt: skip
    loss.backward()
    return loss.detach()


def measured_peak(model: nn.Module, step: Callable[[], Any], device: torch.device) -> int:
    """Peak bytes of tensors while ``step`` runs, the model included."""
    release_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device)
    memory = LiveBytes()
    follow_model(memory, model)
    with memory:
        step()
    return memory.peak


def check_plan(config: Any, device: torch.device, tiny: bool) -> list[dict[str, Any]]:
    """Planned against measured over ranks, lengths, policies and caps; a failure is an error of the plan."""
    on_gpu, found = device.type == "cuda", []
    lengths, caps = ([64, 192], [2]) if tiny else ([1024, 2048, 4096], [4, 6, 8, 12, 16])
    policies = [ActivationPolicy(0)] if tiny else [ActivationPolicy(0), ActivationPolicy(0, offload=True)]
    for rank in [8] if tiny else [16]:
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
