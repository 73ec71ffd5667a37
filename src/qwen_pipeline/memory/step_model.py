"""The step of a model of any depth, put together from traces of a few layers.

A step is the same thing over and over: every layer of one kind takes and gives back the same bytes. So a few
layers are traced, and the segments between their boundaries are repeated. The result equals the trace of
the whole model to the byte (tests/memory/test_trace.py).
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.fake_model import ModelBytes
from qwen_pipeline.memory.segments import StepTrace
from qwen_pipeline.memory.trace import MicroBatchShape, StepRecipe, trace_step


class StepModel:
    """The step of a model of any depth, put together from traces of a few layers."""

    def __init__(
        self, config: Any, recipe: StepRecipe, shape: MicroBatchShape, offload: bool = False
    ) -> None:
        """Trace three small models: all layers recomputed, all kept, and half of them."""
        self.shape = shape

        def trace(layers: int, kept: int | None) -> StepTrace:
            return trace_step(config, recipe, shape, ActivationPolicy(kept, offload), layers)

        self._recomputed, self._kept, self._mixed = trace(4, 0), trace(4, None), trace(8, 4)

    def step(self, layers: int, kept: int) -> StepTrace:
        """The step of a model with ``layers`` layers of which ``kept`` keep their activations.

        Args:
            layers: At least 4.
            kept: 0, 3 to ``layers`` − 3, or ``layers``: segments next to a border between kept and
                recomputed layers are of their own kind.

        Raises:
            ValueError: The combination cannot be put together; trace it as a whole.
        """
        if not self.can_step(layers, kept):
            raise ValueError(f"{kept} kept of {layers} layers cannot be put together from smaller traces")
        if kept in (0, layers):
            source = self._kept if kept else self._recomputed
            kinds = _spread(0, layers)
        else:
            source = self._mixed
            kinds = [*_spread(0, layers - kept), *_spread(4, kept)]
        forward = [source.forward(kind) for kind in kinds]
        backward = [source.backward(kind) for kind in reversed(kinds)]
        segments = [source.segments[0], *forward, source.segments[1 + source.layers], *backward]
        # What the last segment gives back (an earlier micro-batch's gradients) grows with the layers.
        change = self._extend(lambda trace: sum(segment.change for segment in trace.segments), layers)
        others = sum(segment.change for segment in segments[:-1])
        segments[-1] = replace(segments[-1], change=change - others)
        start = self._extend(lambda trace: trace.start, layers)
        return StepTrace(start, tuple(segments), self.model(layers), layers)

    @staticmethod
    def can_step(layers: int, kept: int) -> bool:
        """Whether `step` can put this combination together."""
        return layers >= 4 and (kept in (0, layers) or 3 <= kept <= layers - 3)

    def model(self, layers: int) -> ModelBytes:
        """What a model of ``layers`` layers holds."""
        names = [field.name for field in fields(ModelBytes)]
        return ModelBytes(**{name: self._extend(partial(_held, name), layers) for name in names})

    @property
    def _added(self) -> int:
        return self._mixed.layers - self._recomputed.layers

    def _extend(self, value: Callable[[StepTrace], int], layers: int) -> int:
        few, more = self._recomputed, self._mixed
        a_layer = (value(more) - value(few)) // self._added
        return value(few) + a_layer * (layers - few.layers)


def _spread(first: int, count: int) -> list[int]:
    """Traced layers that stand for ``count`` alike: the third for all between the second and the last.

    The second differs from the third because the input of the first belongs to the caller and stays.
    """
    return [first, first + 1, *[first + 2] * (count - 3), first + 3]


def _held(name: str, trace: StepTrace) -> int:
    return int(getattr(trace.model, name))
