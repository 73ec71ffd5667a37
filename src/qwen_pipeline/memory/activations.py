"""What becomes of a layer's activations between its forward and its backward.

A layer of Qwen3-4B leaves about 78 KB a token behind. Keeping them costs memory, recomputing them three quarters
of a forward's products (the last one only feeds what comes next), and between the two lies a choice for each layer:

- kept: nothing is computed twice;
- recomputed: only the layer's input (5 KB a token) lives until its backward;
- offloaded: recomputed, and the input waits on the host.

The layers nearest the head are the ones to keep: their backward comes first, so what they hold is gone
before any other layer is computed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

from torch import nn

from qwen_pipeline.errors import ParameterError, UnsupportedModelError
from qwen_pipeline.memory.recompute import Recomputation


@dataclass(frozen=True)
class ActivationPolicy:
    """How many of a model's layers keep their activations, and where the others' inputs wait.

    Attributes:
        kept_layers: Layers nearest the head that keep everything; None for all of them.
        offload: The inputs of recomputed layers wait in (pinned) host memory.
    """

    kept_layers: int | None = 0
    offload: bool = False

    @classmethod
    def parse(cls, text: str | bool) -> Self:
        """Read ``keep``, ``recompute``, ``keep:12`` or ``offload``; a bool as in `gradient_checkpointing`.

        Raises:
            ParameterError: The text is none of these.
        """
        named = {"keep": cls(None), "recompute": cls(0), "offload": cls(0, True)}
        if isinstance(text, bool):
            return named["recompute" if text else "keep"]
        kind, _, count = text.partition(":")
        if kind == "keep" and count.isdigit():
            return cls(int(count))
        if text not in named:
            raise ParameterError(
                f"gradient_checkpointing={text!r}: write true, false, auto, keep:LAYERS or offload."
            )
        return named[text]

    def __str__(self) -> str:
        if self.offload:
            return "offload"
        return {None: "keep", 0: "recompute"}.get(self.kept_layers, f"keep:{self.kept_layers}")

    def keeps(self, layer: int, layers: int) -> bool:
        """Whether layer number ``layer`` of ``layers`` keeps its activations."""
        return self.kept_layers is None or layer >= layers - self.kept_layers


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a Hugging Face decoder, also inside a PEFT model, in order.

    Raises:
        UnsupportedModelError: The layers do not have transformers' checkpointing switch.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no decoder layers of transformers' GradientCheckpointingLayer kind, "
            "so their activations cannot be managed; use a Qwen3 model and transformers 5.17 or newer."
        )
    return layers


def apply_activation_policy(model: nn.Module, policy: ActivationPolicy) -> None:
    """Set every decoder layer of ``model`` to what ``policy`` says; may be called again at any time.

    Args:
        model: A Hugging Face decoder or a PEFT model of one. It must be in train mode to recompute.
        policy: The choice.
    """
    layers = decoder_layers(model)
    # Without dropout there is no random state to bring back, and asking for it would cost a copy a layer.
    draws = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
    for index, layer in enumerate(layers):
        # A layer's own context for a forward of which only what backward needs is used.
        again = getattr(layer, "recomputing", nullcontext)
        keeps = policy.keeps(index, len(layers))
        layer.gradient_checkpointing = not keeps  # type: ignore[assignment]
        layer._gradient_checkpointing_func = Recomputation(again, draws, policy.offload)  # type: ignore[assignment]


@contextmanager
def temporary_policy(model: nn.Module, policy: ActivationPolicy) -> Iterator[None]:
    """Use ``policy`` for a while, as for a row that does not fit otherwise; then put the old one back."""
    layers = decoder_layers(model)
    before = [
        (layer.gradient_checkpointing, getattr(layer, "_gradient_checkpointing_func", None))
        for layer in layers
    ]
    apply_activation_policy(model, policy)
    try:
        yield
    finally:
        for layer, (enabled, function) in zip(layers, before, strict=True):
            layer.gradient_checkpointing = enabled
            layer._gradient_checkpointing_func = function  # type: ignore[assignment]
