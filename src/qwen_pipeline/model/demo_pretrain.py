"""Build and pretrain the demo model: some seconds on one thread, the same weights every time."""

import math
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from qwen_pipeline.model.demo_corpus import Text
from qwen_pipeline.model.demo_recipe import END_OF_TEXT, END_OF_TURN, DemoRecipe


def demo_config(recipe: DemoRecipe, tokenizer: PreTrainedTokenizerBase) -> Qwen3Config:
    """The real model's configuration at the recipe's size."""
    return Qwen3Config(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_value_heads,
        head_dim=recipe.head_dim,
        max_position_embeddings=recipe.positions,
        rope_theta=recipe.rope_theta,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TURN),
        pad_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        use_cache=True,
    )


def pretrain(
    texts: Sequence[Text], tokenizer: PreTrainedTokenizerBase, recipe: DemoRecipe
) -> Qwen3ForCausalLM:
    """Next-token training on the texts, joined with the end-of-text token.

    The caller holds the number of threads at one: products in another order give other last bits.

    Args:
        texts: Answers and pairs of wordings.
        tokenizer: The demo's.
        recipe: Shape and schedule.

    Returns:
        The model in float32.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = Qwen3ForCausalLM(demo_config(recipe, tokenizer)).train()
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
        for _, input_ids in zip(range(recipe.steps), _batches(texts, tokenizer, recipe), strict=False):
            loss = model(input_ids=input_ids, labels=input_ids, use_cache=False).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model


def _rate(step: int, recipe: DemoRecipe) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def _batches(
    texts: Sequence[Text], tokenizer: PreTrainedTokenizerBase, recipe: DemoRecipe
) -> Iterator[torch.Tensor]:
    """Endless ``[rows, row_tokens]`` ids; each pass over the texts has its own order."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    encoded = [
        [*(id_ for ids in tokenizer(list(text), add_special_tokens=False)["input_ids"] for id_ in ids), end]
        for text in texts
    ]
    generator = torch.Generator().manual_seed(recipe.seed)
    size = recipe.rows * recipe.row_tokens
    stream: list[int] = []
    while True:
        for index in torch.randperm(len(encoded), generator=generator).tolist():
            stream += encoded[index]
            while len(stream) >= size:
                yield torch.tensor(stream[:size]).view(recipe.rows, recipe.row_tokens)
                stream = stream[size:]
