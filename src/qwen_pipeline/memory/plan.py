"""Plans a training's memory before anything is loaded, and finds the fastest settings under the cap.

Two things can be chosen: how many tokens a micro-batch has, and how many layers keep their activations. Every
pass over the model (forward, recompute, backward) dequantises all weights once, whatever the size, so
    time per token ~ (3 - kept / layers) * (1 + DEQUANTISE_TOKENS / tokens)
and the plan takes the pair with the lowest value whose peak fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.parts import PlanParts, optimiser_bytes, split_peak
from qwen_pipeline.memory.segments import StepTrace
from qwen_pipeline.memory.step_model import StepModel
from qwen_pipeline.memory.trace import MicroBatchShape, StepRecipe, trace_step

# Tokens whose products take as long as dequantising the weights once. Derived for Qwen3-4B: 16 GB of traffic
# at 500 GB/s against 7.2 GFLOP a token at 60 TFLOP/s.
DEQUANTISE_TOKENS = 270
LARGEST_MICRO_BATCH = 32_768  # Beyond, more tokens save less than 1 %.


# By tokens of the micro-batch, offloading, and whether earlier gradients are held.
TracedSteps = dict[tuple[int, bool, bool], StepModel]


@dataclass(frozen=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        config: A transformers configuration of the base model.
        recipe: The loop's step.
        row_lengths: Tokens of each training row (all of them, or the longest possible if unknown).
        examples_per_step: Rows of an optimiser step.
        cap: The memory allowed.
        batch_size: Most rows of a micro-batch; None lets the plan choose.
        policy: What layers keep; None lets the plan choose.
        optim: transformers' name of the optimiser.
        labelled_share: Share of the tokens that carry a label; 1.0 is safe.
        on_gpu: Plan for a card, else for this machine's memory.
    """

    config: Any
    recipe: StepRecipe
    row_lengths: Sequence[int]
    examples_per_step: int
    cap: MemoryCap
    batch_size: int | None = None
    policy: ActivationPolicy | None = None
    optim: str = "paged_adamw_8bit"
    labelled_share: float = 1.0
    on_gpu: bool = True

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.row_lengths)

    def worst_tokens(self, rows: int) -> int:
        """Tokens of the fullest micro-batch of ``rows`` rows: the longest ones together."""
        return sum(sorted(self.row_lengths, reverse=True)[:rows])


@dataclass(frozen=True)
class MemoryPlan:
    """Settings and the memory they take.

    Attributes:
        max_tokens: Token budget of a micro-batch.
        max_rows: Rows it may have.
        policy: What layers keep.
        parts: Memory at the peak.
        cap: The memory allowed.
        relative_time: Time per token by the rule above, relative to keeping everything in one large batch.
    """

    max_tokens: int
    max_rows: int
    policy: ActivationPolicy
    parts: PlanParts
    cap: MemoryCap
    relative_time: float

    @property
    def needs_gib(self) -> float:
        """What has to fit into ``cap.usable_gib``."""
        return self.parts.reserved / GIB

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.needs_gib <= self.cap.usable_gib

    def lowered(self, failed_tokens: int, longest: int) -> "MemoryPlan":
        """The plan after a micro-batch of ``failed_tokens`` ran out of memory: its halves fitted."""
        return replace(self, max_tokens=max(longest, min(self.max_tokens, -(-failed_tokens // 2))))


class Planner:
    """Plans for one request; traces of one micro-batch size are made once."""

    def __init__(self, request: PlanRequest, traced: TracedSteps | None = None) -> None:
        """Take the request; nothing is traced yet.

        Args:
            request: What is to be planned.
            traced: Steps of the same model and recipe traced for another cap; new ones are added.
        """
        self.request = request
        self.layers: int = request.config.num_hidden_layers
        self._traced: TracedSteps = {} if traced is None else traced

    def plan(self, tokens: int, policy: ActivationPolicy, max_rows: int) -> MemoryPlan:
        """The memory of given settings, whether they fit or not."""
        request = self.request
        trace = self._trace(tokens, policy)
        parts = split_peak(
            trace,
            optimiser_bytes(request.optim, trace.model.adapter_sizes, on_gpu=request.on_gpu),
            on_gpu=request.on_gpu,
            context=round(request.cap.context_gib * GIB),
        )
        time = self._relative_time(tokens, self._kept(policy))
        return MemoryPlan(tokens, max_rows, policy, parts, request.cap, time)

    def promising_budgets(self, budgets: Sequence[int]) -> list[int]:
        """Up to two budgets that may beat the smallest, the best first, judged between two traced sizes.

        A peak is the largest of several straight lines, so the line between two of its points lies above it:
        what is expected to fit does fit, but for the head's chunks; `fastest` traces the budget itself.
        """
        wanted = self.request.policy
        choices = self._choices() if wanted is None else [wanted]
        found: dict[int, float] = {}
        for tokens in budgets[1:]:
            share = (tokens - budgets[0]) / (budgets[-1] - budgets[0])
            for policy in choices:
                ends = [self.plan(size, policy, 1).needs_gib for size in (budgets[0], budgets[-1])]
                if ends[0] + share * (ends[1] - ends[0]) <= self.request.cap.usable_gib:
                    time = self._relative_time(tokens, self._kept(policy))
                    found[tokens] = min(time, found.get(tokens, time))
        return sorted(found, key=found.__getitem__)[:2]

    def fastest(self, tokens: int, max_rows: int) -> MemoryPlan | None:
        """The plan that keeps the most layers at this micro-batch size, or None if none fits."""
        wanted = self.request.policy
        if wanted is not None:
            only = self.plan(tokens, wanted, max_rows)
            return only if only.fits else None
        # The peak grows with the layers kept, so the choice is found by bisection.
        choices = self._choices()
        low, high = 0, len(choices)
        while low < high:
            middle = (low + high) // 2
            if self.plan(tokens, choices[middle], max_rows).fits:
                high = middle
            else:
                low = middle + 1
        if low < len(choices):
            return self.plan(tokens, choices[low], max_rows)
        offloaded = self.plan(tokens, ActivationPolicy(0, offload=True), max_rows)
        return offloaded if offloaded.fits and self.request.on_gpu else None

    def _choices(self) -> list[ActivationPolicy]:
        """Policies without offloading, from the fastest to the most frugal."""
        counts = [count for count in range(self.layers, -1, -1) if StepModel.can_step(self.layers, count)]
        return [ActivationPolicy(None if n == self.layers else n) for n in counts or (self.layers, 0)]

    def _kept(self, policy: ActivationPolicy) -> int:
        return self.layers if policy.kept_layers is None else min(policy.kept_layers, self.layers)

    def _relative_time(self, tokens: int, kept: int) -> float:
        return (3 - kept / self.layers) / 2 * (1 + DEQUANTISE_TOKENS / tokens)

    def _trace(self, tokens: int, policy: ActivationPolicy) -> StepTrace:
        kept = self._kept(policy)
        # A step of one micro-batch holds no earlier gradients.
        is_whole_step = tokens >= self.request.worst_tokens(self.request.examples_per_step)
        recipe = replace(self.request.recipe, accumulates=not is_whole_step)
        if not StepModel.can_step(self.layers, kept):
            exact = ActivationPolicy(kept, policy.offload)
            return trace_step(self.request.config, recipe, self._shape(tokens), exact)
        key = (tokens, policy.offload, recipe.accumulates)
        if key not in self._traced:
            self._traced[key] = StepModel(self.request.config, recipe, self._shape(tokens), policy.offload)
        return self._traced[key].step(self.layers, kept)

    def _shape(self, tokens: int) -> MicroBatchShape:
        """A micro-batch of so many tokens made of the longest rows."""
        whole, rest = divmod(tokens, self.request.longest)
        lengths = (self.request.longest,) * whole + ((rest,) if rest else ())
        return MicroBatchShape(lengths, max(1, round(tokens * self.request.labelled_share)))


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
