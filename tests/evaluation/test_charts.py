"""Charts draw what there is."""

import math

from qwen_pipeline.evaluation.charts import line_chart


def test_points_without_a_finite_value_are_left_out_of_a_line() -> None:
    name = ("loss", "损失")
    whole = line_chart([(name, [(2, 1.5), (4, 0.5)])], name, name)
    with_gaps = [(1, None), (2, 1.5), (3, math.nan), (4, 0.5), (5, math.inf)]
    assert line_chart([(name, with_gaps)], name, name) == whole
    assert line_chart([(name, [(1, None)])], name, name) == ""
