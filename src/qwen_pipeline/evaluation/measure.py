"""All figures of one model on held-out rows: its likelihood on every row, its answers to a sample."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from qwen_pipeline.evaluation.faults import judge_answer
from qwen_pipeline.evaluation.general import general_conversations, general_rows
from qwen_pipeline.evaluation.generation import Answer, answer_questions
from qwen_pipeline.evaluation.held_out import Conversation, HeldOut
from qwen_pipeline.evaluation.likelihood import RowScore, score_rows, summarise_scores
from qwen_pipeline.evaluation.metrics import answer_of, mean_scores, score_answer
from qwen_pipeline.params.evaluate import EvaluateParameters
from qwen_pipeline.text.quality import main_language


def measure_model(
    model: Any, tokenizer: Any, held_out: HeldOut, parameters: EvaluateParameters
) -> dict[str, Any]:
    """Measure a model.

    Args:
        model: Loaded with the packed attention, with or without adapters.
        tokenizer: Its tokenizer, padding on the left.
        held_out: What it is measured on.
        parameters: How answers are generated.

    Returns:
        Plain data: ``scores``, ``groups`` (likelihood by language, source file and length band), ``rows``,
        ``answers`` by example, ``general``, and of which split it is. Without rows there are no scores.
    """
    rows = score_rows(model, tokenizer, held_out.rows)
    answers = _answer(
        model, tokenizer, [held_out.conversations[name] for name in held_out.sample], parameters
    )
    judged = {
        name: _judge(held_out.conversations[name], answer)
        for name, answer in zip(held_out.sample, answers, strict=True)
    }
    return {
        "scores": {**summarise_scores(rows), **mean_scores(list(judged.values()))},
        "groups": _groups(rows, held_out),
        "rows": [row.as_dict() for row in rows],
        "answers": {
            name: {**answer.as_dict(), "scores": judged[name]}
            for name, answer in zip(held_out.sample, answers, strict=True)
        },
        "general": _measure_general(model, tokenizer, parameters),
        "held_out": held_out.as_dict(),
    }


def _answer(
    model: Any, tokenizer: Any, conversations: Sequence[Conversation], parameters: EvaluateParameters
) -> list[Answer]:
    return answer_questions(
        model,
        tokenizer,
        [[dict(message) for message in turns[:-1]] for turns in conversations],
        generation=parameters.generation_config.model_dump(),
        batch_size=parameters.evaluation_batch_size,
        seed=parameters.seed,
    )


def _judge(conversation: Conversation, answer: Answer) -> dict[str, float]:
    question, reference = conversation[-2]["content"], answer_of(conversation[-1]["content"])
    return {**score_answer(answer.text, reference), **judge_answer(question, answer, reference)}


def _groups(rows: Sequence[RowScore], held_out: HeldOut) -> dict[str, dict[str, dict[str, float]]]:
    parts: dict[str, dict[str, list[RowScore]]] = {
        name: defaultdict(list) for name in ("language", "source_file", "length_band")
    }
    for row in rows:
        answer = held_out.conversations[row.example_id][-1]["content"]
        parts["language"][main_language(answer)].append(row)
        parts["source_file"][held_out.source_files[row.example_id]].append(row)
        parts["length_band"][row.length_band].append(row)
    return {
        kind: {
            name: {**summarise_scores(part), "rows": float(len(part))}
            for name, part in sorted(groups.items())
        }
        for kind, groups in parts.items()
    }


def _measure_general(model: Any, tokenizer: Any, parameters: EvaluateParameters) -> dict[str, float]:
    """What the model makes of questions that have nothing to do with the data: whether it forgets."""
    if not parameters.general_questions:
        return {}
    conversations = general_conversations(parameters.general_questions)
    scores = score_rows(model, tokenizer, general_rows(tokenizer, conversations))
    answers = _answer(model, tokenizer, conversations, parameters)
    judged = [
        judge_answer(turns[-2]["content"], answer, turns[-1]["content"])
        for turns, answer in zip(conversations, answers, strict=True)
    ]
    thinks = [float(bool(answer.thought) and answer.block_closed is True) for answer in answers]
    kept = ("stopped", "language_kept", "repetition", "thinking_closed", "thought_characters")
    means = {name: value for name, value in mean_scores(judged).items() if name in kept}
    return {**summarise_scores(scores), **means, "thinking_rate": sum(thinks) / len(thinks)}
