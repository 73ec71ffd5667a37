"""The page's words: a name for every figure, and the verdict in Chinese from the same figures."""

import pytest

from qwen_pipeline.evaluation.comparison import LOWER_IS_BETTER
from qwen_pipeline.evaluation.page_words import NAMES, figure, forgetting_in_chinese, verdict_in_chinese
from qwen_pipeline.evaluation.report import _COMPARED, verdict_of

REPORT = {
    "rows": 75,
    "base": {"loss": 0.677, "recognised": 0.0},
    "tuned": {"loss": 0.175, "recognised": 0.59},
    "differences": {"loss": {"low": -0.55, "high": -0.45, "verdict": "better"}},
    "general": {
        "base": {"bits_per_character": 0.5, "thinking_rate": 0.25},
        "tuned": {"bits_per_character": 0.62, "thinking_rate": 1.0},
    },
    "held_out": {"split": "test", "test_rejected": 0},
}


def test_every_compared_figure_has_a_name_in_both_languages() -> None:
    assert {*_COMPARED, *LOWER_IS_BETTER} <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("exact_match", 0.5, "50.0%"),
        ("answer_characters", 32.08, "32"),
        ("loss", 0.17543, "0.175"),
        ("chrf", 0.5, "0.5"),
    ],
)
def test_a_figure_is_shown_as_people_read_it(name: str, value: float, shown: str) -> None:
    assert figure(name, value) == shown


def test_the_verdict_is_the_same_in_chinese() -> None:
    assert verdict_in_chinese(REPORT) == (
        "变好：微调后的模型在 75 条留出答案上的损失比原模型低 74%（0.677 → 0.175，差值的 95% 区间为 -0.550 至 -0.450）。"
        "实际提问中，微调后能认定为正确的占 59%，原模型占 0%。"
    )
    assert forgetting_in_chinese(REPORT) == (
        "通用问题每个字符比微调前多用 0.12 比特；使用思考块的回答占 100%，微调前占 25%。"
    )


def test_chinese_says_too_that_the_rows_are_no_test_rows() -> None:
    validation = {**REPORT, "held_out": {"split": "validation", "test_rejected": 0}}
    assert "以上为验证集的结果" in verdict_in_chinese(validation)
    nothing = {"rows": 0, "held_out": {"split": None, "test_rejected": 3}}
    assert verdict_in_chinese(nothing).startswith("未评估。没有留出的数据：tokenize 拒绝了全部 3 条测试样本")


def test_few_answers_have_no_interval_in_either_language() -> None:
    loss = {"low": None, "high": None, "verdict": "not told apart"}
    few = {**REPORT, "rows": 1, "differences": {"loss": loss}}
    assert "0.677 → 0.175；回答太少，无法判断" in verdict_in_chinese(few)
    english = verdict_of(REPORT["base"], REPORT["tuned"], loss, 1)
    assert "the loss on 1 held-out answer is 74% lower" in english
    assert "(0.677 to 0.175; too few answers to tell)" in english
