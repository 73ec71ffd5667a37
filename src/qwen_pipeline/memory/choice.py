"""Chooses the fastest settings that fit under the cap, within what the user has fixed; else says what would fit."""

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest
from qwen_pipeline.memory.planner import Planner, TracedSteps
from qwen_pipeline.memory.trace import settled_heap

LARGEST_MICRO_BATCH = 32_768  # Beyond, more tokens save less than 1 %.
SHORTEST_ROW = 64  # A shorter one is not proposed, nor a length between its multiples.


@settled_heap()
def make_plan(request: PlanRequest, traced: TracedSteps | None = None) -> MemoryPlan:
    """Find the fastest settings under the cap, within what the user has fixed.

    Args:
        request: What is to be planned.
        traced: A dict kept between plans of the same model and recipe under several caps.

    Raises:
        MemoryPlanError: Nothing fits; the message says what would.
    """
    planner = Planner(request, traced)
    max_rows = request.batch_size or request.examples_per_step
    rows = min(max_rows, request.examples_per_step)
    if request.batch_size is not None:
        _require_fits(planner, rows)
    best = planner.fastest(request.longest, max_rows)
    if best is None:
        raise MemoryPlanError(_nothing_fits(planner))
    for tokens in planner.promising_budgets(_token_budgets(request, rows)):
        plan = planner.fastest(tokens, max_rows)
        if plan is not None:
            return plan if plan.relative_time < best.relative_time else best
    return best


def _require_fits(planner: Planner, rows: int) -> None:
    """Refuse a ``batch_size`` whose longest rows do not fit together; the plan may still make micro-batches of fewer tokens.

    Raises:
        MemoryPlanError: They do not; the message says how many do.
    """
    request = planner.request
    if planner.fastest(request.worst_tokens(rows), rows) is not None:
        return
    fitting = _largest_batch(planner, rows) if rows > 1 else 0
    if not fitting:
        raise MemoryPlanError(_nothing_fits(planner))
    smallest = planner.plan(request.worst_tokens(rows), _frugal(request), rows)
    raise MemoryPlanError(
        f"batch_size={request.batch_size} needs {smallest.needs_gib:.1f} GiB; "
        f"{request.cap} allows {request.cap.usable_gib:.1f}. "
        f"Set batch_size={fitting}, or leave it to the plan with batch_size=auto."
    )


def _largest_batch(planner: Planner, rows: int) -> int:
    """The largest power of two of rows that fits, below ``rows``; 0 if not even one row does."""
    fitting, count = 0, 1
    while count < rows:
        if planner.fastest(planner.request.worst_tokens(count), count) is None:
            break
        fitting, count = count, 2 * count
    return fitting


def _token_budgets(request: PlanRequest, rows: int) -> list[int]:
    """Micro-batch sizes worth trying: the longest row, then doubling up to the longest ``rows`` together."""
    most = min(request.worst_tokens(rows), max(LARGEST_MICRO_BATCH, request.longest))
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
    length = _fitting_length(planner, plan)
    return (
        f"A row of {request.longest} tokens needs {plan.needs_gib:.1f} GiB even alone; "
        f"{request.cap} allows {request.cap.usable_gib:.1f}. {_ways_out(request, length, plan.parts.process / GIB)}"
    )


def _fitting_length(planner: Planner, plan: MemoryPlan) -> int:
    """Tokens of a row that would fit, a multiple of 64; 0 if not even 64 do.

    The line between a length that fits and one that does not lies above the peaks (`Planner.promising_budgets`); a line
    drawn on from two that do not would lie below them.

    Args:
        planner: Makes the plans.
        plan: Of a row that does not fit.
    """
    request = planner.request
    while plan.max_tokens > SHORTEST_ROW:
        short = planner.plan(max(SHORTEST_ROW, plan.max_tokens // 2), _frugal(request), 1)
        if short.fits:
            per_token = (plan.needs_gib - short.needs_gib) / (plan.max_tokens - short.max_tokens)
            length = short.max_tokens + int((request.cap.usable_gib - short.needs_gib) / per_token)
            return length // SHORTEST_ROW * SHORTEST_ROW
        plan = short
    return 0


def _ways_out(request: PlanRequest, length: int, needs_gib: float) -> str:
    """What to change so that a row fits.

    Args:
        request: What was to be planned.
        length: Tokens of a row that would fit; 0 if none does.
        needs_gib: The whole process with the longest row.
    """
    enough = f"{needs_gib + 0.05:.1f}"  # rounded up
    values = ["gradient_checkpointing=auto"] if request.policy is not None else []
    values += [f"max_sequence_length={length}"] if length else []
    values += [] if request.cap.is_shortage else [f"max_memory_gb={enough}"]
    ways = [f"set {' or '.join(values)}"] if values else []
    ways += [f"make {enough} GiB free"] if request.cap.is_shortage else []
    ways += [] if length else ["use a smaller model"]
    told = ", or ".join(ways)
    return f"{told[0].upper()}{told[1:]}."
