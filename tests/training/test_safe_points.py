"""Which states a diverged training may go back to."""

from collections.abc import Collection

from qwen_pipeline.training.safe_points import SafePoints, State


def state(step: int) -> State:
    return {"history": {"step": step}}


def safe_steps(last: int, trouble: Collection[int] = ()) -> list[int]:
    """The step to go back to after each of the first ``last`` steps."""
    points = SafePoints(state(0))
    found = []
    for step in range(1, last + 1):
        points.after_step(step, step in trouble, lambda step=step: state(step))  # type: ignore[misc]
        found.append(int(points.safe["history"]["step"]))
    return found


def test_a_state_is_trusted_only_after_ten_calm_steps() -> None:
    found = safe_steps(60)
    assert found[:29] == [0] * 29
    assert found[29:49] == [20] * 20
    assert found[49:] == [40] * 11


def test_a_state_that_trouble_follows_is_never_gone_back_to() -> None:
    assert set(safe_steps(60, trouble=range(25, 48))) == {0, 48}
    assert set(safe_steps(49, trouble=range(45, 50))) == {0, 20}


def test_going_back_twice_leads_to_the_same_state() -> None:
    points = SafePoints(state(20), state(40))
    assert points.go_back() == state(20)
    assert points.candidate is None
    points.after_step(21, False, lambda: state(21))
    assert points.go_back() == state(20)


def test_both_states_are_saved_and_loaded() -> None:
    points = SafePoints()
    points.load_state_dict(SafePoints(state(20), state(40)).state_dict())
    points.after_step(50, False, lambda: state(50))
    assert points.safe == state(40)
