"""Which rows a step trains on, and how many steps there are."""

import pytest

from qwen_pipeline.training.order import StepOrder


@pytest.mark.parametrize(
    ("rows", "epochs", "steps"),
    [(30, 1.1, 33), (30, 1.0, 30), (10, 2.3, 23), (100, 0.07, 7), (30, 1.11, 34), (3, 0.1, 1)],
)
def test_a_part_of_an_epoch_is_so_many_steps_and_no_more_through_floating_point(
    rows: int, epochs: float, steps: int
) -> None:
    assert StepOrder(rows, 1, epochs, None, seed=0).steps == steps


def test_every_epoch_is_a_permutation_of_its_own_and_its_last_step_takes_what_is_left() -> None:
    order = StepOrder(11, 4, 2, None, seed=3)
    epochs = [[order.rows_of(step) for step in steps] for steps in ((1, 2, 3), (4, 5, 6))]
    assert [[len(rows) for rows in epoch] for epoch in epochs] == [[4, 4, 3]] * 2
    assert all(sorted(row for step in epoch for row in step) == list(range(11)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert StepOrder(11, 4, 2, None, seed=3).rows_of(5) == epochs[1][1]
    assert [order.ends_epoch(step) for step in (2, 3, 6)] == [False, True, True]
