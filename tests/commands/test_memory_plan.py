from types import SimpleNamespace
from typing import Any

from qwen_pipeline.commands.memory_plan import CARDS_GIB, _for_cards, _lengths
from qwen_pipeline.errors import MemoryPlanError


def test_without_the_data_the_longest_rows_that_are_allowed_are_planned_for() -> None:
    parameters = SimpleNamespace(max_sequence_length=64, examples_per_step=3)
    assert _lengths(None, {}, parameters, use_data=False) == [64, 64, 64]


def test_a_card_on_which_nothing_fits_is_told_and_hides_none_of_the_others() -> None:
    def planned(limit_gib: float) -> Any:
        raise MemoryPlanError(f"nothing fits into {limit_gib:g}")

    reports = _for_cards(planned)
    assert list(reports) == [f"{size:g}" for size in CARDS_GIB]
    assert reports["6"] == {"fits": False, "reason": "nothing fits into 6"}
