"""Planned against measured: 30 configurations (rank, length, activations) under five caps, 150 in all.

A run that the plan lets through and that does not fit is a failure. Those that the plan fills the cap with come first: an error of
the plan shows there. What the time does not suffice for is counted, and can be run later.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from gpu_model import build_model, make_rows, measured_peak, our_step
from gpu_report import Part, describe
from torch import nn
from transformers import Qwen3Config

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import MemoryCap, apply_memory_cap
from qwen_pipeline.memory.measure import GIB, MemoryMeter
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest
from qwen_pipeline.memory.planner import Planner, TracedSteps
from qwen_pipeline.memory.recovery import release_memory
from qwen_pipeline.training.memory_recipe import step_recipe


@dataclass(frozen=True)
class Grid:
    """What is combined with what: ranks, tokens of the one row, GiB of the cap, activations."""

    ranks: tuple[int, ...]
    lengths: tuple[int, ...]
    caps: tuple[int, ...]
    policies: tuple[ActivationPolicy, ...]

    @property
    def size(self) -> int:
        """Configurations times caps."""
        return len(self.ranks) * len(self.lengths) * len(self.caps) * len(self.policies)


FULL = Grid(
    ranks=(8, 32), lengths=(512, 1024, 2048, 4096, 8192), caps=(4, 6, 8, 12, 16),
    policies=(ActivationPolicy(0), ActivationPolicy(0, offload=True), ActivationPolicy(12)),
)  # fmt: skip
SMALL = Grid(ranks=(8,), lengths=(64, 192), caps=(2,), policies=(ActivationPolicy(0), ActivationPolicy(2)))


@dataclass(frozen=True)
class Case:
    """One plan under one cap; ``fraction`` is the share of the card that the allocator has under it."""

    rank: int
    cap_gb: int
    fraction: float
    plan: MemoryPlan


class Traces:
    """The steps that plans are made of, traced by other processes while the parts before the grid run."""

    def __init__(self, config: Any, grid: Grid, on_gpu: bool) -> None:
        """Begin to trace; `of` waits for what it needs."""
        self._pool = ProcessPoolExecutor(
            max_workers=max(1, min(8, (os.cpu_count() or 1) - 2)), mp_context=get_context("spawn")
        )
        self._found = {
            rank: [
                self._pool.submit(trace, config.to_dict(), grid, on_gpu, rank, tokens)
                for tokens in grid.lengths
            ]
            for rank in grid.ranks
        }

    def of(self, rank: int) -> TracedSteps:
        """All steps of a rank."""
        return {key: step for future in self._found[rank] for key, step in future.result().items()}

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def trace(settings: dict[str, Any], grid: Grid, on_gpu: bool, rank: int, tokens: int) -> TracedSteps:
    """The steps of one rank and length under all policies."""
    traced: TracedSteps = {}
    for policy in grid.policies:
        cap = MemoryCap(1.0, 0.0)  # of no consequence for a trace
        plan_request(Qwen3Config(**settings), rank, tokens, policy, cap, on_gpu, traced)
    return traced


def plan_request(
    config: Any,
    rank: int,
    tokens: int,
    policy: ActivationPolicy,
    cap: MemoryCap,
    on_gpu: bool,
    traced: TracedSteps,
) -> MemoryPlan:
    """The plan of one configuration under a cap; new traces are added."""
    recipe = step_recipe(lora_r=rank, lora_alpha=2 * rank, on_gpu=on_gpu)
    request = PlanRequest(config, recipe, [tokens], 1, cap, policy=policy, optim="sgd", on_gpu=on_gpu)
    return Planner(request, traced).plan(tokens, policy, 1)


CaseName = tuple[int, int, int, str]  # rank, GiB of the cap, tokens, activations


def measured_before(output: Path | None) -> dict[CaseName, dict[str, Any]]:
    """The cases of an earlier run that need not be run again, as it recorded them."""
    ranks = json.loads(output.read_text(encoding="utf-8")).get("plan", {}) if output else {}
    cases = [case for found in ranks.values() if isinstance(found, dict) for case in found.get("cases", [])]
    return {name_of(case): case for case in cases if "measured_gib" in case}


def name_of(case: dict[str, Any]) -> CaseName:
    """What tells a recorded case from the others."""
    return case["rank"], case["cap_gb"], case["tokens"], case["policy"]


def check_plan(
    part: Part,
    config: Any,
    device: torch.device,
    grid: Grid,
    traces: Traces,
    known: dict[CaseName, dict[str, Any]],
) -> None:
    """Run the grid, half of the time for each rank, and sum it up with what is known from before."""
    for number, rank in enumerate(grid.ranks):
        share = 1 / (len(grid.ranks) - number)
        part.attempt(
            f"rank {rank}",
            lambda inner, rank=rank: check_rank(inner, config, device, grid, rank, traces.of(rank), known),
            share,
        )
    part.note(**sum_up(part.figures, grid))


def check_rank(
    part: Part,
    config: Any,
    device: torch.device,
    grid: Grid,
    rank: int,
    traced: TracedSteps,
    known: dict[CaseName, dict[str, Any]],
) -> None:
    """All cases of one rank, the tightest first, as long as there is time."""
    model = build_model(config, device, torch.bfloat16, rank)
    cases: list[dict[str, Any]] = []
    part.note(cases=cases)
    try:
        planned, refused = plan_cases(config, device, grid, rank, traced)
        cases += refused
        for case in sorted(
            planned, key=lambda case: case.plan.needs_gib / case.plan.cap.usable_gib, reverse=True
        ):
            described = describe_case(case)
            if not case.plan.fits:
                cases.append(described)
            elif name_of(described) in known:
                cases.append({**known[name_of(described)], "from_before": True})
            elif part.seconds_left() > 0:
                cases.append(run_case(model, config, case, device))
                part.note()
    finally:
        set_fraction(1.0, device)


def plan_cases(
    config: Any, device: torch.device, grid: Grid, rank: int, traced: TracedSteps
) -> tuple[list[Case], list[dict[str, Any]]]:
    """The plans of one rank; a cap that leaves nothing is a record of its own for each configuration."""
    on_gpu = device.type == "cuda"
    settings = [(tokens, policy) for tokens in grid.lengths for policy in grid.policies]
    planned: list[Case] = []
    refused: list[dict[str, Any]] = []
    for cap_gb in grid.caps:
        try:
            cap, fraction = measure_cap(cap_gb, device)
        except MemoryPlanError as error:
            refused += [{"rank": rank, "cap_gb": cap_gb, "fits": False, "refused": describe(error)}] * len(
                settings
            )
            continue
        for tokens, policy in settings:
            plan = plan_request(config, rank, tokens, policy, cap, on_gpu, traced)
            planned.append(Case(rank, cap_gb, fraction, plan))
    return planned, refused


def measure_cap(cap_gb: float, device: torch.device) -> tuple[MemoryCap, float]:
    """The division of a cap, and the share of the card that it gives the allocator."""
    set_fraction(1.0, device)
    cap = apply_memory_cap(cap_gb, MemoryMeter(device))
    return cap, torch.cuda.get_per_process_memory_fraction(device) if device.type == "cuda" else 1.0


def set_fraction(fraction: float, device: torch.device) -> None:
    """Limit the allocator to a share of the card; 1.0 lifts the limit. A CPU has none."""
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def describe_case(case: Case) -> dict[str, Any]:
    plan = case.plan
    return {
        "rank": case.rank, "cap_gb": case.cap_gb, "tokens": plan.max_tokens, "policy": str(plan.policy), "fits": plan.fits,
        "planned_gib": plan.parts.allocated / GIB, "planned_reserved_gib": plan.parts.reserved / GIB,
    }  # fmt: skip


def run_case(model: nn.Module, config: Any, case: Case, device: torch.device) -> dict[str, Any]:
    """One step under one plan: sizes, and whether it ran where the plan said that it fits."""
    record, plan = describe_case(case), case.plan
    release_memory()
    set_fraction(case.fraction, device)
    apply_activation_policy(model, plan.policy)
    rows = make_rows([plan.max_tokens], config.vocab_size, prompt_share=0.0)
    model.zero_grad(set_to_none=True)
    try:
        peak = measured_peak(model, lambda: our_step(model, rows, device, True), device)
    except Exception as error:  # whatever it is: the plan has let it through, and the next case has a say too
        return {**record, "failed": describe(error)}
    record |= {"measured_gib": peak / GIB, "error": peak / plan.parts.allocated - 1}
    if device.type == "cuda":
        reserved = torch.cuda.max_memory_reserved(device)
        record |= {
            "measured_reserved_gib": reserved / GIB,
            "reserved_error": reserved / plan.parts.reserved - 1,
        }
    return record


def sum_up(ranks: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """How much of the grid was run, and what came of it."""
    cases = [case for found in ranks.values() for case in found.get("cases", [])]
    run = [case for case in cases if "measured_gib" in case or "failed" in case]
    refused = sum(not case["fits"] for case in cases)
    errors = [abs(case["error"]) for case in run if "error" in case]
    return {
        "configurations": grid.size,
        "run": len(run),
        "do_not_fit_by_plan": refused,
        "left_out": grid.size - len(run) - refused,
        "failures": sum("failed" in case for case in run),
        "largest_error": max(errors, default=None),
    }
