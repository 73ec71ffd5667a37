"""What the settings of evaluation change, on the tiny model."""

from collections.abc import Callable
from typing import Any

import pytest

from qwen_pipeline.evaluation import measure
from qwen_pipeline.evaluation.held_out import HeldOut
from qwen_pipeline.evaluation.measure import measure_model
from qwen_pipeline.params.evaluate import EvaluateParameters
from training.tiny_training import make_rows

SHORT: dict[str, Any] = {"evaluation_questions": 3, "general_questions": 0}


@pytest.fixture
def measured(tiny_pair: tuple[Any, Any]) -> Callable[..., dict[str, Any]]:
    """Measures the tiny model with the given settings."""
    rows = make_rows(4)
    names = [row["example_id"] for row in rows]
    turns = [
        {"role": "user", "content": "How much memory?"},
        {"role": "assistant", "content": "Four gigabytes."},
    ]

    def run(**settings: Any) -> dict[str, Any]:
        generation = {"max_new_tokens": 4, **settings.pop("generation_config", {})}
        parameters = EvaluateParameters(**{**SHORT, **settings, "generation_config": generation})
        held_out = HeldOut(
            rows, dict.fromkeys(names, turns), dict.fromkeys(names, "faq.md"), names[: parameters.evaluation_questions]
        )  # fmt: skip
        return measure_model(*tiny_pair, held_out, parameters)

    return run


def texts(figures: dict[str, Any]) -> list[str]:
    return [answer["text"] for answer in figures["answers"].values()]


def test_every_row_is_scored_and_the_sample_answered(measured: Callable[..., dict[str, Any]]) -> None:
    figures = measured()
    assert len(figures["rows"]) == 4
    assert len(figures["answers"]) == 3
    assert figures["general"] == {}
    assert {"loss", "perplexity", "bits_per_character", "chrf"} <= set(figures["scores"])


def test_general_questions_are_measured_as_many_as_asked(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    answer = measure._answer
    monkeypatch.setattr(measure, "_answer", lambda *args: asked.append(len(args[2])) or answer(*args))
    assert "thinking_rate" in measured(general_questions=2)["general"]
    assert asked == [3, 2]


def test_answers_do_not_depend_on_how_many_are_made_at_a_time(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    answer = measure.answer_questions
    monkeypatch.setattr(
        measure,
        "answer_questions",
        lambda *args, **options: sizes.append(options["batch_size"]) or answer(*args, **options),
    )
    penalty = {"repetition_penalty": 5.0}
    one_by_one = texts(measured(evaluation_batch_size=1, generation_config=penalty))
    assert any(one_by_one)
    assert one_by_one == texts(measured(evaluation_batch_size=3, generation_config=penalty))
    assert sizes == [1, 3]


@pytest.mark.parametrize(
    ("plain", "generation"),
    [
        ({"do_sample": True}, {"do_sample": True, "max_new_tokens": 8}),
        ({}, {"do_sample": True}),
        ({"do_sample": True}, {"do_sample": True, "temperature": 0.05}),
        ({"do_sample": True}, {"do_sample": True, "top_k": 2}),
        ({"do_sample": True}, {"do_sample": True, "top_p": 0.01}),
        ({"max_new_tokens": 8}, {"max_new_tokens": 8, "repetition_penalty": 5.0}),
    ],
    ids=str,
)
def test_each_setting_of_generation_changes_the_answers(
    measured: Callable[..., dict[str, Any]], plain: dict[str, Any], generation: dict[str, Any]
) -> None:
    assert texts(measured(generation_config=generation)) != texts(measured(generation_config=plain))


def test_the_seed_decides_what_is_sampled(measured: Callable[..., dict[str, Any]]) -> None:
    sampled = {"do_sample": True}
    assert texts(measured(generation_config=sampled, seed=1)) != texts(
        measured(generation_config=sampled, seed=2)
    )
