"""Chooses the fastest settings that fit under the cap, within what the user has fixed; else says what would fit."""

from itertools import accumulate

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest
from qwen_pipeline.memory.planner import Planner, TracedSteps

LARGEST_MICRO_BATCH = 32_768  # Beyond, more tokens save less than 1 %.


def make_plan(request: PlanRequest, traced: TracedSteps | None = None) -> MemoryPlan:
    """Find the fastest settings under the cap, within what the user has fixed.

    Args:
        request: What is to be planned.
        traced: A dict kept between plans of the same model and recipe under several caps.

    Raises:
        MemoryPlanError: Nothing fits; the message says what would.
    """
    planner = Planner(request, traced)
    if request.batch_size is not None:
        return _plan_fixed(planner, request.batch_size)
    best = planner.fastest(request.longest, request.examples_per_step)
    if best is None:
        raise MemoryPlanError(_nothing_fits(planner))
    for tokens in planner.promising_budgets(_token_budgets(request)):
        plan = planner.fastest(tokens, request.examples_per_step)
        if plan is not None:
            return plan if plan.relative_time < best.relative_time else best
    return best


def _plan_fixed(planner: Planner, batch_size: int) -> MemoryPlan:
    """The plan where the user has set ``batch_size``."""
    request = planner.request
    rows = min(batch_size, request.examples_per_step)
    plan = planner.fastest(request.worst_tokens(rows), batch_size)
    if plan is not None:
        return plan
    smallest = planner.plan(request.worst_tokens(rows), _frugal(request), batch_size)
    if rows == 1:
        raise MemoryPlanError(_nothing_fits(planner))
    fitting = _largest_batch(planner, rows)
    if not fitting:
        raise MemoryPlanError(_nothing_fits(planner))
    raise MemoryPlanError(
        f"batch_size={batch_size} needs {smallest.needs_gib:.1f} GiB; "
        f"max_memory_gb={request.cap.limit_gib:.1f} allows {request.cap.usable_gib:.1f}. "
        f"Set batch_size={fitting}, or leave it to the plan with batch_size=auto."
    )


def _largest_batch(planner: Planner, rows: int) -> int:
    """The largest power of two of rows that fits, below ``rows``; 0 if not even one row does."""
    candidates = [count for count in accumulate([1] * 16, lambda value, _: value * 2) if count < rows]
    fitting = 0
    for count in candidates:
        if planner.fastest(planner.request.worst_tokens(count), count) is None:
            break
        fitting = count
    return fitting


def _token_budgets(request: PlanRequest) -> list[int]:
    """Micro-batch sizes worth trying: the longest row, then doubling up to the whole optimiser step."""
    most = min(request.worst_tokens(request.examples_per_step), max(LARGEST_MICRO_BATCH, request.longest))
    budgets = [request.longest]
    while budgets[-1] * 2 < most:
        budgets.append(budgets[-1] * 2)
    return budgets if budgets[-1] >= most else [*budgets, most]


def _frugal(request: PlanRequest) -> ActivationPolicy:
    return request.policy or ActivationPolicy(0, offload=request.on_gpu)


def _nothing_fits(planner: Planner) -> str:
    """What a single row needs, and the length that would fit."""
    request = planner.request
    plan = planner.plan(request.longest, _frugal(request), 1)
    short = planner.plan(max(1, request.longest // 2), _frugal(request), 1)
    per_token = (plan.needs_gib - short.needs_gib) / max(1, request.longest - short.max_tokens)
    fixed = plan.needs_gib - per_token * request.longest
    length = int((request.cap.usable_gib - fixed) / per_token) // 64 * 64 if per_token > 0 else 0
    enough = plan.parts.process / GIB
    shorter = f"Set max_sequence_length={length} or" if length >= 64 else "Use a smaller model, or set"
    checkpointing = "Set gradient_checkpointing=auto. " if request.policy is not None else ""
    return (
        f"A row of {request.longest} tokens needs {plan.needs_gib:.1f} GiB even alone; "
        f"max_memory_gb={request.cap.limit_gib:.1f} allows {request.cap.usable_gib:.1f}. "
        f"{checkpointing}{shorter} max_memory_gb={enough + 0.05:.1f}."
    )
