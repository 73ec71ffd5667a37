"""The packed likelihood is the plain one, and leaves the model as it was."""

import math
from typing import Any

import pytest
import torch

from datasets import Dataset
from qwen_pipeline.evaluation.generation import ordinary_attention
from qwen_pipeline.evaluation.likelihood import RowScore, score_rows, summarise_scores
from training.tiny_training import make_rows


def plain_loss(model: Any, row: dict[str, Any]) -> float:
    ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
    with torch.no_grad(), ordinary_attention(model):
        trained = sum(label != -100 for label in row["labels"][1:])
        return float(model(input_ids=ids, labels=labels).loss) * trained


@pytest.mark.parametrize("max_tokens", [30, 10_000])
@pytest.mark.parametrize("kind", [list, Dataset.from_list])
def test_every_row_scores_as_with_plain_transformers_however_rows_are_packed(
    tiny_pair: tuple[Any, Any], kind: Any, max_tokens: int
) -> None:
    model, tokenizer = tiny_pair
    rows = make_rows(7)
    scores = score_rows(model, tokenizer, kind(rows), max_tokens)
    assert [score.example_id for score in scores] == [row["example_id"] for row in rows]
    for score, row in zip(scores, rows, strict=True):
        assert score.loss == pytest.approx(plain_loss(model, row), rel=1e-4)
        assert score.tokens == sum(label != -100 for label in row["labels"])
    assert model.training


def test_a_batch_that_runs_out_of_memory_is_split_and_scores_the_same(
    tiny_pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwen_pipeline.evaluation import likelihood

    model, tokenizer = tiny_pair
    rows = make_rows(6)
    expected = score_rows(model, tokenizer, rows)
    real = likelihood._score

    def cramped(model: Any, part: list[Any]) -> Any:
        if len(part) > 2:
            raise torch.OutOfMemoryError("injected")
        return real(model, part)

    monkeypatch.setattr(likelihood, "_score", cramped)
    for got, wanted in zip(score_rows(model, tokenizer, rows), expected, strict=True):
        assert got.loss == pytest.approx(wanted.loss, rel=1e-4)


def test_figures_are_weighted_by_tokens_and_characters() -> None:
    summary = summarise_scores([RowScore("a", 3.0, 1, 1, 10), RowScore("b", 1.0, 2, 3, 10)])
    assert summary["loss"] == pytest.approx(1.0)
    assert summary["perplexity"] == pytest.approx(math.e)
    assert summary["bits_per_character"] == pytest.approx(4 / math.log(2) / 20)
    assert summary["token_accuracy"] == pytest.approx(3 / 4)


def test_length_bands_cover_every_length() -> None:
    bands = [RowScore("a", 0, 0, tokens, 0).length_band for tokens in (1, 64, 65, 256, 1024, 1025, 9999)]
    assert bands == ["1-64", "1-64", "65-256", "65-256", "257-1024", "1025-", "1025-"]
