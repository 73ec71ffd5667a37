"""Read held-out answers with weights that come one layer at a time, in float32, whatever the model's size.

Both possible merges are measured this way before either is written.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from qwen_pipeline.release.reading import HiddenReading, causal_mask, compact_head, trained_positions
from qwen_pipeline.text.progress import with_progress


class Weights(Protocol):
    """Tensors by name, each made when it is asked for."""

    shapes: dict[str, tuple[int, ...]]

    def __getitem__(self, name: str) -> torch.Tensor:
        """One tensor, float32."""
        ...


@torch.no_grad()
def read_streamed(
    config: Any, weights: Weights, rows: Sequence[Mapping[str, Any]], device: torch.device
) -> HiddenReading:
    """Push the rows through the layers, one layer in memory at a time.

    Args:
        config: The model's configuration.
        weights: The model's tensors, by the names of transformers.
        rows: ``input_ids`` and ``labels``.
        device: Where a layer is computed.
    """
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    embedding = weights["model.embed_tokens.weight"]
    states = [embedding[torch.tensor(row["input_ids"])][None].to(device) for row in rows]
    head = compact_head(embedding) if config.tie_word_embeddings else None
    del embedding
    rotary = type(model.model.rotary_emb)(config=config).to(device)
    layers = model.model.layers
    for number, layer in enumerate(with_progress(layers, len(layers), "Reading held-out rows")):
        _fill(layer, weights, f"model.layers.{number}.", device)
        states = [_through(layer, rotary, hidden) for hidden in states]
        layer.to("meta")
    _fill(model.model.norm, weights, "model.norm.", device)
    kept = [
        model.model.norm(hidden)[0, :-1][trained_positions(row).to(device)].cpu()
        for row, hidden in zip(rows, states, strict=True)
    ]
    return HiddenReading(torch.cat(kept), compact_head(weights["lm_head.weight"]) if head is None else head)


def _through(layer: Any, rotary: Any, hidden: torch.Tensor) -> torch.Tensor:
    """One layer over one row ``[1, tokens, D]``."""
    tokens, device = hidden.shape[1], hidden.device
    positions = torch.arange(tokens, device=device)[None]
    out = layer(
        hidden, attention_mask=causal_mask(tokens, device), position_ids=positions,
        position_embeddings=rotary(hidden, positions),
    )  # fmt: skip
    states: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return states


def _fill(module: nn.Module, weights: Weights, prefix: str, device: torch.device) -> None:
    module.to_empty(device=device)
    found = {name.removeprefix(prefix): weights[name] for name in weights.shapes if name.startswith(prefix)}
    module.load_state_dict(found, strict=True)
