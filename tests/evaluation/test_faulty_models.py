"""Models that were taught a fault answer through the real generation path, and the rules find exactly that fault."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from model.tiny_model import write_tiny_model
from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.evaluation.faults import judge_answer
from qwen_pipeline.evaluation.generation import Answer, answer_questions
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from qwen_pipeline.params.evaluate import GenerationConfig

QUESTION = "What does the learning rate do?"
REFERENCE = "It scales the step."
END = "<|im_end|>"
MOST_TOKENS = 48
TAUGHT = {
    "nothing wrong": f"</think>\n\n{REFERENCE}{END}",
    "repetition": "</think>\n\n" + "It scales the step. " * 20,
    "irrelevance": f"</think>\n\n猫在红垫子上睡了一天。{END}",
    "an open block": "a b c d e f g 1 2 3 4 is it, then which one of these " * 4,
    "an empty answer": f"</think>\n\n{END}",
    "an open fence": f"</think>\n\n```\nIt scales the step.{END}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("faulty") / "model")


def answer_of_a_model_taught(folder: Path, text: str) -> Answer:
    """A tiny model trained on one answer until it says it, asked as evaluation asks."""
    tokenizer = load_tokenizer(ModelSource(str(folder)), padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    prompt = prompt_ids(tokenizer, [{"role": "user", "content": QUESTION}])
    taught = tokenizer(text, add_special_tokens=False)["input_ids"][:MOST_TOKENS]
    ids = torch.tensor([prompt + taught])
    labels = torch.tensor([[-100] * len(prompt) + taught])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    model.train()
    for _ in range(120):
        loss = model(ids, labels=labels).loss
        if float(loss.detach()) < 0.02:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    settings = GenerationConfig(max_new_tokens=MOST_TOKENS, do_sample=False, repetition_penalty=1.0)
    conversation = [{"role": "user", "content": QUESTION}]
    (answer,) = answer_questions(
        model, tokenizer, [conversation], generation=settings.model_dump(), batch_size=1, seed=0
    )
    return answer


@pytest.mark.parametrize(
    ("taught", "expected"),
    [
        ("nothing wrong", {"answer_present": 1, "language_kept": 1, "stopped": 1, "thinking_closed": 1}),
        ("repetition", {"repetition": 1, "answer_present": 1, "language_kept": 1, "thinking_closed": 1}),
        ("irrelevance", {"irrelevance": 1, "answer_present": 1, "stopped": 1, "thinking_closed": 1}),
        ("an open block", {"format_error": 1, "language_kept": 1}),
        ("an empty answer", {"format_error": 1, "language_kept": 1, "stopped": 1, "thinking_closed": 1}),
        ("an open fence", {"format_error": 1, "answer_present": 1, "language_kept": 1, "stopped": 1, "thinking_closed": 1}),
    ],
)  # fmt: skip
def test_a_model_with_this_fault_is_judged_by_it(folder: Path, taught: str, expected: dict[str, int]) -> None:
    torch.manual_seed(0)
    answer = answer_of_a_model_taught(folder, TAUGHT[taught])
    found = judge_answer(QUESTION, answer, REFERENCE)
    rates = (
        "repetition",
        "irrelevance",
        "format_error",
        "answer_present",
        "language_kept",
        "stopped",
        "thinking_closed",
    )
    judged = {name: found[name] for name in rates}
    if taught == "an open block":  # what stands in an open block is no answer: on or off topic says nothing
        judged |= {"irrelevance": 0, "repetition": 0}
    assert judged == {name: expected.get(name, 0) for name in rates}, answer.text
