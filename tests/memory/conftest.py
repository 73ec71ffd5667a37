"""A plain training step on a small Qwen3, real or fake, for the tests of the memory plan."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config

from qwen_pipeline.memory.chunked_loss import linear_cross_entropy
from qwen_pipeline.memory.trace import StepRecipe
from qwen_pipeline.memory.transaction import GradientTransaction


def attach_adapters(model):
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


def micro_step(model, shape):
    """Forward and backward of one packed micro-batch, in a transaction, without reading a value back."""
    transaction = GradientTransaction(p for p in model.parameters() if p.requires_grad)
    transaction.begin()
    tokens = shape.tokens
    inner = model.get_base_model()
    positions = torch.cat([torch.arange(length) for length in shape.row_lengths])
    embedded = inner.model.embed_tokens(torch.ones(1, tokens, dtype=torch.int64)).requires_grad_()
    hidden = inner.model(inputs_embeds=embedded, position_ids=positions[None], use_cache=False)
    loss = linear_cross_entropy(
        hidden.last_hidden_state[0],
        inner.lm_head.weight,
        torch.ones(tokens, dtype=torch.int64),
        labelled_rows_N=torch.arange(shape.labelled_tokens),
        chunk_tokens=128,
    )
    loss.backward()
    transaction.commit()


@pytest.fixture(scope="session")
def recipe():
    return StepRecipe(attach_adapters, micro_step, compute_dtype=torch.float32)


@pytest.fixture(scope="session")
def config():
    return Qwen3Config(
        vocab_size=1024, hidden_size=64, intermediate_size=192, num_hidden_layers=9, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=4096, tie_word_embeddings=True,
    )  # fmt: skip
