from dataclasses import replace

import pytest

from qwen_pipeline.errors import ExportGateError
from qwen_pipeline.release.gate import Check, judge, require_passed, table_of
from qwen_pipeline.release.reading import Distance

GOOD = Distance(mean_kl=5e-4, loss=0.2, loss_difference=1e-3, max_logit_difference=0.1, same_token=1.0)
MERGED = Check("merged", "transformers", 1.0, GOOD, 1.0)


def faults(check: Check, exact: bool = True) -> str:
    return ", ".join(judge(check, max_mean_kl=0.001, exact_answers=exact))


def test_a_good_export_passes() -> None:
    assert faults(MERGED) == ""
    require_passed([MERGED], 0.001, True, {})


def test_each_figure_out_of_its_bound_is_told() -> None:
    assert "mean KL 0.002" in faults(replace(MERGED, distance=replace(GOOD, mean_kl=0.002)))
    assert "loss +0.02" in faults(replace(MERGED, distance=replace(GOOD, loss_difference=0.02)))
    assert "6% of the prompts" in faults(replace(MERGED, same_prompts=0.9375))
    assert "12% of the greedy answers" in faults(replace(MERGED, same_answers=0.875))


def test_a_figure_that_is_no_number_does_not_pass() -> None:
    assert "mean KL nan" in faults(replace(MERGED, distance=replace(GOOD, mean_kl=float("nan"))))


def test_a_lower_loss_than_the_adapters_is_no_fault() -> None:
    assert faults(replace(MERGED, distance=replace(GOOD, loss_difference=-0.5))) == ""


def test_quantised_files_may_be_further_away_and_answer_otherwise() -> None:
    further = replace(GOOD, mean_kl=0.009)
    assert faults(Check("q8_0", "llama.cpp", 1.0, further, 0.5)) == ""
    assert "0.01 allowed" in faults(Check("q8_0", "llama.cpp", 1.0, replace(GOOD, mean_kl=0.011), 0.5))
    assert "0.001 allowed" in faults(Check("f16", "llama.cpp", 1.0, further, 1.0))


def test_answers_need_not_be_equal_where_no_demo_is_exported() -> None:
    assert faults(replace(MERGED, same_answers=0.5), exact=False) == ""


def test_all_faults_of_all_exports_are_in_one_message_with_the_remedy() -> None:
    bad = replace(MERGED, same_prompts=0.5)
    with pytest.raises(
        ExportGateError, match=r"merged: 50% .*; q8_0: 25% .*The export before stays.*16-bit base"
    ):
        require_passed([bad, Check("q8_0", "llama.cpp", 0.75)], 0.001, True, {"16-bit": GOOD})


def test_the_table_has_figures_bound_and_verdict() -> None:
    rows = table_of([MERGED, Check("ollama", "its template", 0.5)], 0.001, True)
    assert rows[0]["mean_kl"] == 5e-4
    assert rows[0]["max_mean_kl"] == 0.001
    assert rows[0]["passed"] is True
    assert rows[1]["passed"] is False
