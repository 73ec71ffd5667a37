"""Every scheduler of transformers drives the rate, and those that follow validation follow it."""

import warnings
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from transformers import TrainingArguments, get_scheduler
from transformers.trainer_utils import SchedulerType

from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.params.schedulers import SchedulerName
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.schedule import RateSchedule
from training.tiny_training import adapter_bytes, make_rows, make_trainer

PLATEAU: dict[str, Any] = {
    "lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"patience": 0, "factor": 0.5},
}  # fmt: skip
NEEDED = {"warmup_stable_decay": {"num_decay_steps": 3}, "cosine_with_min_lr": {"min_lr": 1e-5},
          "cosine_warmup_with_min_lr": {"min_lr": 1e-5}}  # fmt: skip


def schedule(**settings: Any) -> tuple[RateSchedule, torch.optim.Optimizer]:
    parameters = TrainParameters(learning_rate=1e-2, **settings)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=parameters.learning_rate)
    return RateSchedule(parameters, optimiser, 20), optimiser


def test_a_first_step_that_is_left_out_is_no_mistake() -> None:
    rates, _ = schedule()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates.after_step(1.0)


def test_the_names_are_those_of_transformers() -> None:
    assert set(get_args(SchedulerName)) == {kind.value for kind in SchedulerType}


@pytest.mark.parametrize("name", get_args(SchedulerName))
def test_every_scheduler_drives_the_rate_and_goes_on_from_its_state(name: str) -> None:
    settings = {"lr_scheduler_type": name, "lr_scheduler_kwargs": NEEDED.get(name, {}), "warmup_steps": 4}

    def run(rates: RateSchedule, optimiser: torch.optim.Optimizer, steps: range) -> list[float]:
        found = []
        for step in steps:
            optimiser.step()
            rates.after_step(0.5)
            rates.after_validation(1.0 / step if name == "greedy" else float(step), 0.5)
            found.append(float(optimiser.param_groups[0]["lr"]))
        return found

    whole, resumed = schedule(**settings), schedule(**settings)
    begun = schedule(**settings)
    expected = run(*whole, range(1, 21))
    assert name == "constant" or len(set(expected)) > 1
    run(*begun, range(1, 11))
    resumed[0].load_state_dict(begun[0].state_dict())
    resumed[0].apply(0.5)
    assert run(*resumed, range(11, 21)) == expected[10:]


@pytest.mark.parametrize(
    "warmup", [{"warmup_ratio": 0.03}, {"warmup_ratio": 0.33}, {"warmup_steps": 3}, {"warmup_ratio": 0.0}]
)
def test_as_many_steps_warm_up_as_in_transformers(tmp_path: Path, warmup: dict[str, Any]) -> None:
    theirs = TrainingArguments(str(tmp_path), use_cpu=True, warmup_steps=next(iter(warmup.values())))
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-2)
    plain = get_scheduler("linear", optimiser, theirs.get_warmup_steps(20), 20)
    ours, ours_optimiser = schedule(lr_scheduler_type="linear", **warmup)
    for _ in range(20):
        assert ours_optimiser.param_groups[0]["lr"] == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        ours_optimiser.step()
        plain.step()
        ours.after_step(1.0)


@pytest.mark.parametrize(
    "name", ["linear", "cosine", "polynomial", "constant_with_warmup", "cosine_with_min_lr"]
)
def test_a_training_that_only_warms_up_comes_to_its_end(name: str) -> None:
    rates, optimiser = schedule(
        lr_scheduler_type=name, lr_scheduler_kwargs=NEEDED.get(name, {}), warmup_steps=20
    )
    for step in range(20):
        assert optimiser.param_groups[0]["lr"] == pytest.approx(1e-2 * step / 20)
        optimiser.step()
        rates.after_step(1.0)


def test_a_training_whose_only_step_warms_up_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for steps, ratio in ((1, 0.03), (1, 0.0), (2, 0.03)):
        caplog.clear()
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-2)
        RateSchedule(TrainParameters(warmup_ratio=ratio), optimiser, steps)
        assert ("changes no weight" in caplog.text) is ((steps, ratio) == (1, 0.03))


def test_a_share_that_is_a_whole_number_of_steps_takes_no_more() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-2)
    parameters = TrainParameters(
        learning_rate=1e-2, lr_scheduler_type="constant_with_warmup", warmup_ratio=0.07
    )
    rates = RateSchedule(parameters, optimiser, 100)
    for _ in range(7):
        optimiser.step()
        rates.after_step(1.0)
    assert optimiser.param_groups[0]["lr"] == 1e-2


def test_a_plateau_lowers_the_rate_and_steps_do_not() -> None:
    rates, optimiser = schedule(**PLATEAU)
    seen = []
    for loss in (3.0, 2.0, 2.0, 1.0):
        for _ in range(5):
            rates.after_step(1.0)
        rates.after_validation(loss, 1.0)
        seen.append(optimiser.param_groups[0]["lr"])
    assert seen == pytest.approx([1e-2, 1e-2, 5e-3, 5e-3])


def test_a_training_on_a_plateau_goes_on_as_if_it_had_not_been_stopped(tiny: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        **PLATEAU, "num_epochs": 4, "learning_rate": 5e-2, "save_strategy": "epoch", "save_total_limit": None,
    }  # fmt: skip
    validation = make_rows(4, seed=5)
    whole = make_trainer(tiny, tmp_path / "a", validation=validation, **settings)
    report = whole.run()
    assert min(report["learning_rates"]) < max(report["learning_rates"])
    stopped = make_trainer(tiny, tmp_path / "b", validation=validation, **settings)
    real = stopped.stepper.accumulate

    def accumulate(rows: Any, step: int = 0) -> Any:
        if stopped.history.step == 9:
            raise KeyboardInterrupt
        return real(rows, step)

    stopped.stepper.accumulate = accumulate  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = make_trainer(tiny, tmp_path / "b", validation=validation, **settings)
    assert resumed.run()["learning_rates"] == report["learning_rates"]
    assert adapter_bytes(resumed) == adapter_bytes(whole)


def test_a_scheduler_that_follows_validation_is_refused_without_any(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="reduce_lr_on_plateau needs validations"):
        TrainParameters(lr_scheduler_type="reduce_lr_on_plateau", eval_strategy="no")
    with pytest.raises(NoExamplesError, match="validation_fraction"):
        make_trainer(tiny, tmp_path, **PLATEAU)


@pytest.mark.parametrize("settings", [{}, PLATEAU], ids=["cosine", "plateau"])
def test_what_a_rollback_leaves_of_the_rate_stays_off_it(settings: dict[str, Any]) -> None:
    def rates(factor: float) -> list[float]:
        schedule_, optimiser = schedule(**settings)
        found = []
        for loss in (3.0, 2.0, 2.0, 2.0):
            optimiser.step()
            schedule_.after_step(factor)
            schedule_.after_validation(loss, factor)
            found.append(float(optimiser.param_groups[0]["lr"]))
        return found

    assert rates(0.5) == pytest.approx([rate / 2 for rate in rates(1.0)])
