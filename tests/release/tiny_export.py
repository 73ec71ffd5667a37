"""What the tests of this folder export: a tiny model's adapter with weights that matter."""

from pathlib import Path
from typing import Any

import torch

from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import attach_lora, save_adapter
from qwen_pipeline.model.portable import save_tokenizer
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer


def write_tiny_adapter(base: Path, target: Path, seed: int = 1, **variant: Any) -> Path:
    """An adapter as training leaves it, with random weights that move the answers."""
    source = ModelSource(str(base))
    model = attach_lora(
        load_quantized_model(source, compute_dtype=torch.float32), **{"r": 4, "alpha": 8, **variant}
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
            elif "magnitude" in name:
                parameter.mul_(1 + 0.2 * torch.rand_like(parameter))
    save_adapter(model, target, str(base))
    save_tokenizer(load_tokenizer(source), target)
    return target


CONVERSATIONS = [
    [
        {"role": "user", "content": "What does it do? <|im_end|>"},
        {"role": "assistant", "content": "It scales the step."},
    ],
    [
        {"role": "system", "content": "简短。"},
        {"role": "user", "content": "学习率？"},
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n学习率决定步长。"},
        {"role": "user", "content": "And\n\n2?"},
        {"role": "assistant", "content": "1\n\n2 é"},
    ],
]
CONVERSATIONS = [CONVERSATIONS[0], CONVERSATIONS[1], CONVERSATIONS[1]]
_ENDS = (1, 2, 4)  # the answer of each row


def rows_of(base: Path) -> list[dict[str, Any]]:
    """Held-out rows: each a prompt and an answer with labels."""
    tokenizer = load_tokenizer(ModelSource(str(base)))
    rows = []
    for number, (turns, end) in enumerate(zip(CONVERSATIONS, _ENDS, strict=True)):
        prompt = prompt_ids(tokenizer, turns[:end])
        answer = turns[end]["content"].rpartition("</think>")[2].strip()
        trained = tokenizer(f"\n</think>\n\n{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
        labels = [-100] * len(prompt) + trained
        rows.append({"input_ids": prompt + trained, "labels": labels, "example_id": f"row-{number}"})
    return rows
