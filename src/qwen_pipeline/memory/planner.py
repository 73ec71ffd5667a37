"""The memory of given settings, and the fastest settings of one micro-batch size, without loading anything.

Two things can be chosen: how many tokens a micro-batch has, and how many layers keep their activations. Every
pass over the model (forward, recompute, backward) dequantises its weights once, whatever the size, so
    time per token ~ (2 + RECOMPUTED_SHARE * (1 - kept / layers)) * max(1 + DEQUANTISE_TOKENS / tokens, host tokens / tokens)
and the plan takes the pair with the lowest value whose peak fits. Below the host tokens (`pace`) the card waits for the host.
"""

from collections.abc import Sequence
from dataclasses import replace

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.parts import optimiser_bytes, split_peak
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest
from qwen_pipeline.memory.segments import StepTrace
from qwen_pipeline.memory.step_model import StepModel
from qwen_pipeline.memory.trace import MicroBatchShape, trace_step

# Tokens whose products take as long as dequantising the weights once. Derived for Qwen3-4B: 16 GB of traffic
# at 500 GB/s against 7.2 GFLOP a token at 60 TFLOP/s.
DEQUANTISE_TOKENS = 270

# Of a layer's products, those that are made again when it is recomputed: all but the last (`model.lean_layers`),
# which has 24.9 of the 100.9 million weights of a layer of Qwen3-4B.
RECOMPUTED_SHARE = 0.75

# By tokens and rows of the micro-batch, offloading, and whether earlier gradients are held.
TracedSteps = dict[tuple[int, int, bool, bool], StepModel]


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
            optimiser_bytes(request.optim, [trace.model.adapter_elements], on_gpu=request.on_gpu),
            on_gpu=request.on_gpu,
            context=round(request.cap.context_gib * GIB),
            optim=request.optim,
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
        if not self.request.on_gpu:
            return None
        offloaded = self.plan(tokens, ActivationPolicy(0, offload=True), max_rows)
        return offloaded if offloaded.fits else None

    def _choices(self) -> list[ActivationPolicy]:
        """Policies without offloading, from the fastest to the most frugal."""
        counts = [count for count in range(self.layers, -1, -1) if StepModel.can_step(self.layers, count)]
        return [ActivationPolicy(None if n == self.layers else n) for n in counts or (self.layers, 0)]

    def _kept(self, policy: ActivationPolicy) -> int:
        return self.layers if policy.kept_layers is None else min(policy.kept_layers, self.layers)

    def _relative_time(self, tokens: int, kept: int) -> float:
        a_pass = max(1 + DEQUANTISE_TOKENS / tokens, self.request.host_tokens / tokens)
        return (1 + RECOMPUTED_SHARE / 2 * (1 - kept / self.layers)) * a_pass

    def _trace(self, tokens: int, policy: ActivationPolicy) -> StepTrace:
        kept, shape = self._kept(policy), self._shape(tokens)
        # A step of one micro-batch holds no earlier gradients.
        is_whole_step = tokens >= self.request.worst_tokens(self.request.examples_per_step)
        recipe = replace(self.request.recipe, accumulates=not is_whole_step)
        if not StepModel.can_step(self.layers, kept):
            exact = ActivationPolicy(kept, policy.offload)
            return trace_step(self.request.config, recipe, shape, exact)
        key = (tokens, len(shape.row_lengths), policy.offload, recipe.accumulates)
        if key not in self._traced:
            self._traced[key] = StepModel(self.request.config, recipe, shape, policy.offload)
        return self._traced[key].step(self.layers, kept)

    def _shape(self, tokens: int) -> MicroBatchShape:
        """A micro-batch of so many tokens made of the rows that take most memory."""
        request = self.request
        if request.on_gpu:  # CUDA's varlen kernel takes memory for each row, however short
            rows = request.most_rows(tokens)
            lengths = tuple((tokens + row) // rows for row in range(rows))
        else:
            whole, rest = divmod(tokens, request.longest)
            lengths = (request.longest,) * whole + ((rest,) if rest else ())
        return MicroBatchShape(lengths, tokens)
