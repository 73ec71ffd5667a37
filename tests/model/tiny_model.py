"""Small local model directories for tests: real configuration classes, random weights."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, Qwen3ForCausalLM

from qwen_pipeline.model.demo_pretrain import demo_config
from qwen_pipeline.model.demo_recipe import DemoRecipe
from qwen_pipeline.model.demo_tokenizer import train_tokenizer
from qwen_pipeline.model.source import ModelSource

TEXTS = (
    "What does the learning rate do?",
    "It scales the step.\n\nToo large diverges.",
    "学习率决定步长。",
    "a b c d e f g",
    "1\n\n2\n\n3\n\n4",
)
TINY = DemoRecipe(
    vocabulary=384, hidden_size=64, intermediate_size=128, layers=2, heads=2, key_value_heads=1, head_dim=32
)


def write_tiny_model(target: Path, seed: int = 0) -> Path:
    """A two-layer Qwen3 with the demo's kind of tokenizer and template."""
    tokenizer = train_tokenizer(TEXTS, TINY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(demo_config(TINY, tokenizer)).to(torch.bfloat16)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def load_plain_model(source: ModelSource, dtype: torch.dtype = torch.bfloat16) -> PreTrainedModel:
    """The model without quantisation, frozen."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(source.directory(), dtype=dtype)
    return model.requires_grad_(False)


def write_reduced_model(config_dir: Path, target: Path, layers: int, seed: int = 0) -> Path:
    """The real configuration at reduced depth and width, the real tokenizer, random weights.

    Only the width is smaller (256 instead of 2,560): the vocabulary stays the real one.
    """
    config = AutoConfig.from_pretrained(config_dir)
    config.num_hidden_layers = layers
    config.layer_types = ["full_attention"] * layers
    config.hidden_size, config.intermediate_size = 256, 512
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 4, 2, 64
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(config_dir).save_pretrained(target)
    return target
