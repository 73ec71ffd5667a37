"""The demo model's recipe: every number that decides what it is. No torch here.

A small Qwen3: 2.7 million parameters with the real model's shape of layers, special tokens and a
template of the same kind. Widths are multiples of 64, which 4-bit kernels on CPU ask for.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

END_OF_TEXT, START_OF_TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, START_OF_TURN, END_OF_TURN)
# Structure, but not "special": decoding keeps them visible, as Qwen3's tokenizer does.
STRUCTURE_TOKENS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)


@dataclass(frozen=True)
class DemoRecipe:
    """Shape, vocabulary and pretraining of the demo model."""

    vocabulary: int = 1280
    hidden_size: int = 256
    intermediate_size: int = 768
    layers: int = 3
    heads: int = 4
    key_value_heads: int = 2
    head_dim: int = 64
    positions: int = 2048
    rope_theta: float = 10000.0
    steps: int = 200
    rows: int = 4
    row_tokens: int = 128
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    weight_decay: float = 0.05
    seed: int = 7


RECIPE = DemoRecipe()


def chat_template() -> str:
    """The demo's chat template, of the kind of Qwen3's Thinking-2507 models."""
    return files("qwen_pipeline.model").joinpath("demo_chat_template.jinja").read_text(encoding="utf-8")


def recipe_digest(recipe: DemoRecipe, corpus_files: dict[str, Path]) -> str:
    """Identifies the model that the recipe makes of these files with the libraries installed here.

    Args:
        recipe: Shape and pretraining.
        corpus_files: Relative name to path of the texts.
    """
    content = {
        "recipe": asdict(recipe),
        "tokens": [*SPECIAL_TOKENS, *STRUCTURE_TOKENS],
        "template": chat_template(),
        "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "corpus": {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in corpus_files.items()
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
