"""Answers in batches are those of one by one, and are taken apart rightly."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from qwen_pipeline.evaluation import generation
from qwen_pipeline.evaluation.generation import (
    _tell_unread,
    answer_questions,
    generation_arguments,
    read_answer,
)
from qwen_pipeline.params.evaluate import GenerationConfig
from qwen_pipeline.text import progress

QUESTIONS = ["a b c", "What does the learning rate do?", "学习率决定步长。", "1", "a b c d e f g"]


def ask(pair: tuple[Any, Any], questions: list[str], batch_size: int, **settings: Any) -> list[str]:
    model, tokenizer = pair
    answers = answer_questions(
        model,
        tokenizer,
        [[{"role": "user", "content": question}] for question in questions],
        generation=GenerationConfig(max_new_tokens=12, **settings).model_dump(),
        batch_size=batch_size,
        seed=3,
    )
    return [answer.text for answer in answers]


def test_a_batch_answers_as_one_by_one_and_in_the_order_of_the_questions(tiny_pair: tuple[Any, Any]) -> None:
    assert ask(tiny_pair, QUESTIONS, batch_size=4) == ask(tiny_pair, QUESTIONS, batch_size=1)


def test_a_long_evaluation_says_how_far_it_is_in_a_log_too(
    tiny_pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        ask(tiny_pair, QUESTIONS[:2], 1)
    assert [line.partition(" done")[0] for line in caplog.messages] == ["Answering questions: 50 %"]


def test_sampling_depends_on_the_seed_alone(tiny_pair: tuple[Any, Any]) -> None:
    settings = {"do_sample": True, "temperature": 2.0}
    once, again = (ask(tiny_pair, QUESTIONS, 4, **settings) for _ in range(2))
    assert once == again != ask(tiny_pair, QUESTIONS, 4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"temperature": 0.3, "top_p": 0.9}, "temperature=0.3 and top_p=0.9 is read only"),
        ({"do_sample": True, "temperature": 0.3}, None),
        ({}, None),
    ],
)
def test_what_only_sampling_reads_is_told_once_where_nothing_is_sampled(
    settings: dict[str, Any], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    _tell_unread.cache_clear()
    for _ in range(2):
        generation_arguments(GenerationConfig(**settings).model_dump())
    assert [record.getMessage().count(told or "") for record in caplog.records] == ([1] if told else [])


def test_the_attention_of_training_is_put_back(tiny_pair: tuple[Any, Any]) -> None:
    ask(tiny_pair, QUESTIONS[:1], 1)
    assert tiny_pair[0].config._attn_implementation == "packed"
    assert tiny_pair[0].training


@pytest.mark.parametrize(
    ("written", "text", "thought", "closed", "stopped"),
    [
        ("short</think>\n\nYes.<|im_end|>", "Yes.", "short", True, True),
        ("</think>\n\nYes.<|im_end|>", "Yes.", "", True, True),
        ("it never ends", "it never ends", "it never ends", False, False),
        ("half</think> then", "then", "half", True, False),
    ],
)
def test_a_thinking_answer_is_taken_apart(
    tiny_pair: tuple[Any, Any], written: str, text: str, thought: str, closed: bool, stopped: bool
) -> None:
    tokenizer = tiny_pair[1]
    prompt = tokenizer("<|im_start|>assistant\n<think>\n")["input_ids"]
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    answer = read_answer(tokenizer, prompt, tokenizer(written)["input_ids"], stop)
    assert (answer.text, answer.thought, answer.block_closed, answer.stopped) == (
        text,
        thought,
        closed,
        stopped,
    )


def test_a_model_that_does_not_think_has_no_block(tiny_pair: tuple[Any, Any]) -> None:
    tokenizer = tiny_pair[1]
    prompt = tokenizer("<|im_start|>assistant\n")["input_ids"]
    answer = read_answer(tokenizer, prompt, tokenizer("Yes.")["input_ids"], 0)
    assert (answer.text, answer.block_closed) == ("Yes.", None)


def test_an_answer_ends_where_the_template_ends_it(
    tiny_pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny_pair
    monkeypatch.setattr(
        tokenizer, "chat_template", tokenizer.chat_template.replace("<|im_end|>", "</tool_call>")
    )
    asked: list[int] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda **k: asked.append(k["eos_token_id"]) or generate(**k))
    ask(tiny_pair, QUESTIONS[:1], 1)
    assert asked == [tokenizer.convert_tokens_to_ids("</tool_call>")]


def test_a_long_prompt_is_read_in_parts_with_the_same_answers(
    tiny_pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, attend = list[int](), torch.nn.functional.scaled_dot_product_attention

    def note(query: Tensor, *others: Any, **options: Any) -> Tensor:
        asked.append(query.shape[2])
        return attend(query, *others, **options)

    at_once = [ask(tiny_pair, QUESTIONS, batch_size) for batch_size in (1, 4)]
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", note)
    monkeypatch.setattr(generation, "PREFILL_TOKENS", 5)
    assert [ask(tiny_pair, QUESTIONS, batch_size) for batch_size in (1, 4)] == at_once
    assert max(asked) == 5
