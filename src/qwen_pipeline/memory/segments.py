"""A step cut at its layer boundaries: what each segment takes, holds and gives back."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from qwen_pipeline.memory.fake_model import ModelBytes
from qwen_pipeline.memory.live_bytes import LiveBytes


@dataclass(frozen=True)
class Segment:
    """Bytes between two marks: how the live bytes changed, and how high they rose above the start."""

    name: str
    change: int
    rise: int


@dataclass(frozen=True)
class StepTrace:
    """One micro-step of one model.

    Attributes:
        start: Bytes alive before it: model, adapters and gradients held.
        segments: ``enter``, ``forward``×layers, ``head``, ``backward``×layers (last layer first).
        model: What the model itself holds.
        layers: Its decoder layers.
    """

    start: int
    segments: tuple[Segment, ...]
    model: ModelBytes
    layers: int

    def peak(self) -> tuple[int, str, int]:
        """The highest live bytes, the name of the segment where, and the live bytes at its start."""
        live, best = self.start, (self.start, "enter", self.start)
        for segment in self.segments:
            best = max(best, (live + segment.rise, segment.name, live), key=lambda item: item[0])
            live += segment.change
        return best

    def forward(self, layer: int) -> Segment:
        """The forward segment of a layer; negative numbers count from the head."""
        return self.segments[1:][: self.layers][layer]

    def backward(self, layer: int) -> Segment:
        """The backward segment of a layer; negative numbers count from the head."""
        return self.segments[2 + self.layers :][::-1][layer]


@dataclass
class StepRecorder:
    """Marks layer boundaries while a step runs, on fake tensors or on real ones."""

    memory: LiveBytes
    _marks: list[tuple[str, int, int]] = field(default_factory=list)
    _in_backward: bool = False

    def start(self) -> None:
        """Begin a micro-step; an earlier one is forgotten."""
        self._marks, self._in_backward = [], False
        self.memory.reset_peak()
        self.mark("start")

    def mark(self, name: str) -> None:
        """Close the segment that ends here."""
        self._marks.append((name, self.memory.live, self.memory.peak))
        self.memory.reset_peak()

    def segments(self) -> tuple[Segment, ...]:
        """The closed segments, each named after the mark that ends it."""
        return tuple(
            Segment(end[0], end[1] - begin[1], end[2] - begin[1]) for begin, end in pairwise(self._marks)
        )

    @contextmanager
    def watch(self, layers: list[nn.Module]) -> Iterator[None]:
        """Mark when a layer's forward ends and when the gradient of its output arrives."""
        handles: list[Any] = []
        for index, layer in enumerate(layers):
            if index == 0:
                handles.append(layer.register_forward_pre_hook(self._enter))
            handles.append(layer.register_forward_hook(self._leave(index == len(layers) - 1)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, layer: nn.Module, inputs: Any) -> None:
        if not self._in_backward:
            self.mark("enter")

    def _leave(self, is_last: bool) -> Callable[..., None]:
        def leave(layer: nn.Module, inputs: Any, output: Any) -> None:
            hidden = output if isinstance(output, Tensor) else output[0]
            if not self._in_backward:
                self.mark("forward")
                recorder = weakref.proxy(self)
                hidden.register_hook(lambda gradient: recorder._arrive(is_last))

        return leave

    def _arrive(self, is_last: bool) -> None:
        self._in_backward = True
        self.mark("head" if is_last else "backward")
