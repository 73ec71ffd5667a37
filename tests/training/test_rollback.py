"""A diverged training goes back to where all was well, and no further, whether it was stopped on the way or not."""

from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.checkpoint import STATE
from qwen_pipeline.training.loop import Trainer
from training.tiny_training import adapter_bytes, make_rows, make_trainer

STEPS, FIRST_HIGH, SAFE = 60, 51, 40


class Listener(Reporter):
    """Keeps the steps whose loss it is told, and where it is sent back to."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.went_back: list[int] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.steps.append(step)

    def go_back(self, step: int) -> None:
        self.went_back.append(step)


def diverging(tiny: Path, folder: Path, killed_at: int | None = None, **settings: Any) -> Trainer:
    """A training of 60 steps whose losses are high from step 51 on, until it has gone back."""
    settings = {"num_epochs": 30, "eval_strategy": "no", "lora_dropout": 0.1, **settings}
    trainer = make_trainer(tiny, folder, rows=make_rows(8), **settings)
    micro_step, update = trainer.stepper._micro_step, trainer.stepper.update

    def high(rows: Any, tokens: int, step: int) -> Any:
        is_high = trainer.history.step + 1 >= FIRST_HIGH and not trainer.history.rollbacks
        return micro_step(rows, tokens, step) + (6.0 * tokens if is_high else 0.0)

    def killed() -> None:
        if trainer.history.step == killed_at:
            raise KeyboardInterrupt
        update()

    trainer.stepper._micro_step = high  # type: ignore[method-assign]
    trainer.stepper.update = killed  # type: ignore[method-assign]
    return trainer


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    trainer = diverging(tiny, tmp_path_factory.mktemp("undisturbed"))
    return trainer.run(), adapter_bytes(trainer)


def rollbacks(report: dict[str, Any]) -> list[tuple[int, int]]:
    """From which steps to which the training went back."""
    return [(e["diverged_at"], e["step"]) for e in report["events"] if e["kind"] == "rollback"]


def test_without_validation_it_goes_back_to_the_newest_state_from_well_before(
    undisturbed: tuple[dict[str, Any], bytes],
) -> None:
    ((diverged_at, back_at),) = rollbacks(undisturbed[0])
    assert FIRST_HIGH < diverged_at < FIRST_HIGH + 10
    assert back_at == SAFE
    assert len(undisturbed[0]["losses"]) == STEPS


def test_only_later_checkpoints_go_and_the_way_back_is_saved_at_once(
    tiny: Path, tmp_path: Path, undisturbed: tuple[dict[str, Any], bytes]
) -> None:
    trainer = diverging(tiny, tmp_path, save_strategy="steps", save_steps=7, save_total_limit=None)
    found: list[list[int]] = []
    drop_after = trainer.checkpoints.drop_after

    def drop_and_look(step: int) -> None:
        drop_after(step)
        found.append(sorted(int(p.name.partition("-")[2]) for p in tmp_path.glob("checkpoint-*")))

    trainer.checkpoints.drop_after = drop_and_look  # type: ignore[method-assign]
    report = trainer.run()
    assert found == [[7, 14, 21, 28, 35, SAFE]]
    assert (tmp_path / f"checkpoint-{SAFE}" / STATE).is_file()
    assert rollbacks(report) == rollbacks(undisturbed[0])
    assert adapter_bytes(trainer) == undisturbed[1]  # how often it is saved changes nothing


@pytest.mark.parametrize("killed_at", [45, 53, SAFE + 3])
def test_a_resumed_training_goes_back_as_an_undisturbed_one(
    tiny: Path, tmp_path: Path, undisturbed: tuple[dict[str, Any], bytes], killed_at: int
) -> None:
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 7}
    with pytest.raises(KeyboardInterrupt):
        diverging(tiny, tmp_path, killed_at, **settings).run()
    resumed = diverging(tiny, tmp_path, **settings)
    report = resumed.run()
    assert "resumed" in [event["kind"] for event in report["events"]]
    assert rollbacks(report) == rollbacks(undisturbed[0])
    assert report["losses"] == undisturbed[0]["losses"]
    assert adapter_bytes(resumed) == undisturbed[1]


def test_a_training_killed_after_it_went_back_does_not_diverge_again(
    tiny: Path, tmp_path: Path, undisturbed: tuple[dict[str, Any], bytes]
) -> None:
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 7}
    trainer = diverging(tiny, tmp_path, **settings)
    drop_after = trainer.checkpoints.drop_after

    def drop_and_die(step: int) -> None:
        drop_after(step)
        raise KeyboardInterrupt

    trainer.checkpoints.drop_after = drop_and_die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    resumed = diverging(tiny, tmp_path, **settings)
    report = resumed.run()
    assert rollbacks(report) == rollbacks(undisturbed[0])
    assert report["losses"] == undisturbed[0]["losses"]
    assert adapter_bytes(resumed) == undisturbed[1]


def test_the_steps_after_a_rollback_are_told_again(tiny: Path, tmp_path: Path) -> None:
    listener = Listener()
    report = diverging(tiny, tmp_path, reporter=listener).run()
    ((diverged_at, _),) = rollbacks(report)
    assert listener.went_back == [SAFE]
    assert listener.steps == [*range(1, diverged_at + 1), *range(SAFE + 1, STEPS + 1)]


def test_the_best_adapter_and_its_figures_stay_together(tiny: Path, tmp_path: Path) -> None:
    validation = make_rows(4, seed=5)
    trainer = diverging(
        tiny,
        tmp_path,
        validation=validation,
        eval_strategy="steps",
        eval_steps=1,
        load_best_model_at_end=True,
    )
    report = trainer.run()
    assert rollbacks(report)
    assert trainer.stepper.validate(validation) == pytest.approx(report["best_loss"], rel=1e-5)
