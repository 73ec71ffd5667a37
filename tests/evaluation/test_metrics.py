"""Likeness of answers, in Chinese as in English."""

import pytest

from qwen_pipeline.evaluation.metrics import bleu, chrf, mean_scores, rouge_l, score_answer, tokens_of


@pytest.mark.parametrize("text", ["Set batch_size to one and try again.", "把批大小设为一，然后再试一次。"])
def test_the_reference_itself_scores_full_marks(text: str) -> None:
    scores = score_answer(text, text)
    for name in ("exact_match", "chrf", "rouge_l", "bleu", "recognised"):
        assert scores[name] == pytest.approx(1.0), name


def test_a_chinese_answer_that_is_half_right_is_between_zero_and_one() -> None:
    reference, answer = "请降低批大小，并启用梯度检查点。", "请降低批大小，并重启电脑吧。"
    for metric in (chrf, rouge_l, bleu):
        assert 0.2 < metric(answer, reference) < 0.9, metric.__name__


@pytest.mark.parametrize("metric", [chrf, rouge_l, bleu])
def test_an_answer_in_another_language_or_none_scores_next_to_nothing(metric) -> None:
    assert metric("The weather is fine.", "请降低批大小。") < 0.1
    assert metric("", "请降低批大小。") == 0.0


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence() -> None:
    assert rouge_l("a b x d", "a b c d e") == pytest.approx(2 * 3 / (4 + 5))


def test_ideographs_and_words_are_tokens() -> None:
    assert tokens_of("把 batch_size 设为1。") == [
        "把",
        "batch",
        "_",
        "size",
        "设",
        "为",
        "1",
        "。",
    ] or tokens_of("把 batch_size 设为1。") == ["把", "batch", "size", "设", "为", "1", "。"]


def test_a_mean_is_over_the_rows_that_have_the_figure() -> None:
    assert mean_scores([{"a": 1.0}, {"a": 0.0, "b": 0.5}]) == {"a": 0.5, "b": 0.5}
