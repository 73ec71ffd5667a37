"""How large a model is, from its configuration or its name, without loading or downloading it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTES_16_BIT = 2
NF4_BYTES = 0.516  # 4 bits, and the doubly quantised scale of each block of 64 (0.127 bits)
ADAPTER_BYTES = 4  # adapters are trained in float32
_SIZE_IN_NAME = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[Bb](?![a-z])")
TYPICAL_HEAD_SHARE = 0.1  # of a small model's parameters, where only the total is known


@dataclass(frozen=True)
class ModelSize:
    """Numbers of parameters.

    Attributes:
        linear: In the layers' linear projections: quantised to 4 bits in training.
        other: In embeddings, head and norms: kept in 16 bits.
        adapter_per_rank: Of a LoRA adapter of rank 1 on all projections.
    """

    linear: int
    other: int
    adapter_per_rank: int

    @property
    def bytes_16_bit(self) -> int:
        """What its 16-bit weights take on a disk."""
        return (self.linear + self.other) * BYTES_16_BIT

    def least_training_bytes(self, lora_r: int) -> int:
        """Weights in 4 bits and adapters with their gradients: no activations and no CUDA context yet."""
        adapters = self.adapter_per_rank * lora_r * ADAPTER_BYTES
        return int(self.linear * NF4_BYTES) + self.other * BYTES_16_BIT + 2 * adapters


def size_of_config(config: Mapping[str, Any]) -> ModelSize | None:
    """The size of a decoder with the seven usual projections; ``None`` where the configuration does not say."""
    try:
        hidden, layers, wide = (
            int(config[name]) for name in ("hidden_size", "num_hidden_layers", "intermediate_size")
        )
        heads, vocabulary = int(config["num_attention_heads"]), int(config["vocab_size"])
    except (KeyError, TypeError, ValueError):
        return None
    head = int(config.get("head_dim") or hidden // heads)
    query, key = heads * head, int(config.get("num_key_value_heads") or heads) * head
    shapes = [(hidden, query), (hidden, key), (hidden, key), (query, hidden)]
    shapes += [(hidden, wide), (hidden, wide), (wide, hidden)]
    tables = 1 if config.get("tie_word_embeddings") else 2
    return ModelSize(
        linear=layers * sum(rows * columns for rows, columns in shapes),
        other=tables * vocabulary * hidden + layers * 2 * hidden,
        adapter_per_rank=layers * sum(rows + columns for rows, columns in shapes),
    )


def size_of_name(name: str) -> ModelSize | None:
    """The size that a hub id tells, as 4 billion in ``Qwen/Qwen3-4B-Thinking-2507``."""
    found = _SIZE_IN_NAME.search(name.replace("-", " ").replace("_", " "))
    if found is None:
        return None
    total = int(float(found[1]) * 1e9)
    return ModelSize(int(total * (1 - TYPICAL_HEAD_SHARE)), int(total * TYPICAL_HEAD_SHARE), 0)


def size_of_folder(folder: Path) -> ModelSize | None:
    """The size of the model whose ``config.json`` lies in a folder."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return size_of_config(config) if isinstance(config, dict) else None
