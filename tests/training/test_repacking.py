"""bitsandbytes' trap: a forward in evaluation mode repacks 4-bit weights on CPUs with avx512_bf16, and gradients are wrong after it.

Here every CPU is one with avx512_bf16, as far as the library knows, and what it does then is noted: so the guard holds on
machines of either kind.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bitsandbytes.nn.modules as bnb_modules
import pytest
import torch

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.evaluation.generation import answer_questions
from qwen_pipeline.evaluation.likelihood import score_rows
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from training.test_step import gradients
from training.tiny_training import make_rows, make_trainer


@pytest.fixture
def repacked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.Tensor]]:
    """Weights that the library would have repacked."""
    found: list[torch.Tensor] = []

    def note(weight: torch.Tensor, state: Any, *_: Any) -> tuple[torch.Tensor, Any]:
        found.append(weight)
        return weight, state

    monkeypatch.setattr(bnb_modules, "has_avx512bf16", lambda: True)
    monkeypatch.setattr(bnb_modules, "_convert_weight_packed_for_cpu", note)
    yield found


def test_evaluation_mode_would_repack(tiny: Path, tmp_path: Path, repacked: list[torch.Tensor]) -> None:
    trainer = make_trainer(tiny, tmp_path, lora_dropout=0.2)  # a fused layer never asks the base layer
    trainer.model.eval()
    with torch.no_grad():
        trainer.stepper._score(make_rows(2))
    assert repacked


@pytest.mark.parametrize("measure", ["validation", "likelihood", "generation"])
def test_no_evaluation_in_between_repacks_or_changes_a_gradient(
    tiny: Path, tmp_path: Path, repacked: list[torch.Tensor], measure: str
) -> None:
    trainer, rows = make_trainer(tiny, tmp_path, lora_dropout=0.2), make_rows(6)
    tokenizer = load_tokenizer(ModelSource(str(tiny)), padding_side="left")

    def gradient() -> torch.Tensor:
        torch.manual_seed(0)
        return gradients(trainer, rows, 3)

    before = gradient()
    if measure == "validation":
        trainer.stepper.validate(rows)
    elif measure == "likelihood":
        score_rows(trainer.model, tokenizer, rows)
    else:
        question: list[Message] = [{"role": "user", "content": "a b c"}]
        generation = {"max_new_tokens": 2, "do_sample": False}
        answer_questions(trainer.model, tokenizer, [question], generation=generation, batch_size=1, seed=0)
    assert torch.equal(gradient(), before)
    assert before.norm() > 0
    assert not repacked
