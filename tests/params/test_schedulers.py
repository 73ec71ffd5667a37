"""The table of schedulers is that of transformers, and a wrong option is told with the right ones."""

import inspect
from typing import Any, get_args

import pytest

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.merge import build_groups
from qwen_pipeline.params.schedulers import SCHEDULER_OPTIONS, SchedulerName


def test_the_options_are_those_of_transformers() -> None:
    from torch.optim.lr_scheduler import ReduceLROnPlateau
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, GreedyLR

    given = {"self", "optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
    classes = {"reduce_lr_on_plateau": ReduceLROnPlateau, "greedy": GreedyLR}
    expected = {
        kind.value: set(inspect.signature(classes.get(kind.value, make)).parameters) - given
        for kind, make in TYPE_TO_SCHEDULER_FUNCTION.items()
    }
    assert {name: set(options) for name, options in SCHEDULER_OPTIONS.items()} == expected
    assert set(SCHEDULER_OPTIONS) == set(get_args(SchedulerName))


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        (
            "cosine",
            {"num_cycle": 1},
            "lr_scheduler_type=cosine knows no option num_cycle; did you mean num_cycles",
        ),
        ("polynomial", {"gamma": 1}, "it takes lr_end, power"),
        ("linear", {"power": 1}, "it takes no options"),
        ("warmup_stable_decay", {}, "needs num_decay_steps; set lr_scheduler_kwargs.num_decay_steps=VALUE"),
        ("cosine_with_min_lr", {}, "needs exactly one of min_lr and min_lr_rate"),
        (
            "cosine_with_min_lr",
            {"min_lr": 1e-5, "min_lr_rate": 0.1},
            "needs exactly one of min_lr and min_lr_rate",
        ),
        ("cosine_with_min_lr", {"min_lr": "low"}, "lr_scheduler_kwargs.min_lr='low': it must be a number"),
        ("cosine_with_restarts", {"num_cycles": True}, "num_cycles=True: it must be a number"),
        ("greedy", {"smooth": "much"}, "smooth='much': it must be one of true, false"),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 5, "decay_type": "sine"},
            "decay_type='sine': it must be one of linear, cosine, 1-sqrt",
        ),
    ],
)
def test_a_wrong_or_missing_option_is_told_before_any_work(
    name: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        build_groups({"lr_scheduler_type": name, "lr_scheduler_kwargs": options})
    assert told in str(caught.value)
