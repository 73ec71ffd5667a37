"""Follows the loop's own step over fake tensors, or over real ones to check the plan."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy, decoder_layers
from qwen_pipeline.memory.fake_model import build_fake_model, count_model_bytes, state_tensors
from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.memory.segments import StepRecorder, StepTrace


@dataclass(frozen=True)
class MicroBatchShape:
    """What a plan must know of a micro-batch.

    Attributes:
        row_lengths: Tokens of each row, packed one after the other.
        labelled_tokens: Tokens that meet the head.
    """

    row_lengths: tuple[int, ...]
    labelled_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of the whole micro-batch."""
        return sum(self.row_lengths)


@dataclass(frozen=True)
class StepRecipe:
    """The loop's own step, handed over as functions.

    Attributes:
        attach_adapters: Puts LoRA on a quantised model, as the loop does.
        micro_step: Runs forward and backward of one micro-batch of the given shape, on tensors that it makes
            itself on the CPU; called inside a fake mode, so it must not read a value back.
        attention: transformers' name of the attention function; `register_planned_attention` gives the one
            for CUDA's varlen kernel.
        compute_dtype: Dtype of activations and of everything that is not quantised.
        accumulates: The step has more than one micro-batch, so gradients of an earlier one are held.
    """

    attach_adapters: Callable[[nn.Module], nn.Module]
    micro_step: Callable[[nn.Module, MicroBatchShape], None]
    attention: str = "sdpa"
    compute_dtype: torch.dtype = torch.bfloat16
    accumulates: bool = True


def trace_step(
    config: Any,
    recipe: StepRecipe,
    shape: MicroBatchShape,
    policy: ActivationPolicy,
    layers: int | None = None,
) -> StepTrace:
    """Run one step of the model over fake tensors and measure its segments.

    Args:
        config: A transformers configuration.
        recipe: The loop's step.
        shape: The micro-batch.
        policy: What layers keep.
        layers: Build only so many layers.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    model = build_fake_model(
        config,
        mode=mode,
        attach_adapters=recipe.attach_adapters,
        layers=layers,
        compute_dtype=recipe.compute_dtype,
        attention=recipe.attention,
    )
    with mode:
        return measure_step(model, recipe, shape, policy)


def measure_step(
    model: nn.Module, recipe: StepRecipe, shape: MicroBatchShape, policy: ActivationPolicy
) -> StepTrace:
    """Measure one micro-step of a model that exists, real or fake; its gradients are left in place."""
    apply_activation_policy(model, policy)
    blocks = decoder_layers(model)
    memory = LiveBytes()
    follow_model(memory, model)
    recorder = StepRecorder(memory)
    gc.collect()
    with memory, _without_collection():
        if recipe.accumulates:
            _hold_gradients(model)
        with recorder.watch(blocks):
            recorder.start()
            start = memory.live
            recipe.micro_step(model, shape)
            recorder.mark("backward")
    return StepTrace(start, recorder.segments(), count_model_bytes(model), len(blocks))


def _hold_gradients(model: nn.Module) -> None:
    """Give every trained parameter the gradient of an earlier micro-batch."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def follow_model(memory: LiveBytes, model: nn.Module) -> None:
    """Count everything that a model holds: parameters, quantisation states, buffers and gradients."""
    for tensor in (*model.parameters(), *model.buffers()):
        memory.follow(tensor)
        if tensor.grad is not None:
            memory.follow(tensor.grad)
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            memory.follow_all(state_tensors(state))


@contextmanager
def settled_heap() -> Iterator[None]:
    """Leave all objects that exist now out of the searches for garbage inside, of which every measurement begins with one."""
    was_frozen = gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the collector from freeing something in the midst of a measurement."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
