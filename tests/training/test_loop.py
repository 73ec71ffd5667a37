"""What a whole training does: parity with the plain way, guards, interruption, validation, every setting's effect."""

import math
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.errors import (
    NoExamplesError,
    ParameterError,
    TrainingDivergedError,
    TrainingInterruptedError,
)
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.tracking.reporter import Reporter
from qwen_pipeline.training.order import StepOrder
from training.tiny_training import SETTINGS, adapter_bytes, make_model, make_rows, make_trainer


class Listener(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.events: list[str] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.metrics.append((step, metrics))

    def log_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.events = [str(event["kind"]) for event in events]


def plain_losses(tiny: Path, rows: list[dict[str, Any]], parameters: TrainParameters) -> list[float]:
    """The same training with transformers, peft and a padded batch for each step."""
    model = make_model(tiny, parameters).train()
    model.get_base_model().set_attn_implementation("sdpa")
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=parameters.learning_rate, weight_decay=0.0)
    order = StepOrder(len(rows), parameters.examples_per_step, parameters.num_epochs, None, parameters.seed)
    losses = []
    for step in range(1, order.steps + 1):
        part = [rows[number] for number in order.rows_of(step)]
        width = max(len(row["input_ids"]) for row in part)
        pad = [width - len(row["input_ids"]) for row in part]
        ids = torch.tensor([row["input_ids"] + [0] * p for row, p in zip(part, pad, strict=True)])
        labels = torch.tensor([row["labels"] + [-100] * p for row, p in zip(part, pad, strict=True)])
        mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * p for row, p in zip(part, pad, strict=True)])
        lower = torch.float16 if parameters.fp16 else torch.bfloat16
        with torch.autocast("cpu", dtype=lower, enabled=parameters.bf16 or parameters.fp16):
            loss = model(input_ids=ids, labels=labels, attention_mask=mask).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, parameters.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize(("dtype", "tolerance"), [({}, 1e-4), ({"bf16": True}, 5e-3), ({"fp16": True}, 5e-3)])
def test_twenty_steps_have_the_losses_of_plain_transformers_and_peft(
    tiny: Path, tmp_path: Path, dtype: dict[str, bool], tolerance: float
) -> None:
    rows = make_rows(16)
    settings = {
        "num_epochs": 5,
        "lr_scheduler_type": "constant",
        "warmup_ratio": 0.0,
        "learning_rate": 2e-3,
        **dtype,
    }
    ours = make_trainer(tiny, tmp_path, rows, **settings).run()["losses"]
    plain = plain_losses(tiny, rows, TrainParameters(**{**SETTINGS, **settings}))
    assert len(ours) == len(plain) == 20
    assert max(abs(a - b) / b for a, b in zip(ours, plain, strict=True)) <= tolerance
    assert plain[-1] < plain[0]


def test_a_step_that_is_not_finite_is_left_out_and_its_rows_are_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    trainer = make_trainer(tiny, tmp_path, reporter=listener)
    real, calls = trainer.stepper._micro_step, [0]

    def poisoned(rows: Any, tokens: int, step: int) -> torch.Tensor:
        calls[0] += 1
        loss = real(rows, tokens, step)
        return loss * math.nan if calls[0] == 5 else loss  # the first two only take the time

    monkeypatch.setattr(trainer.stepper, "_micro_step", poisoned)
    report = trainer.run()
    skipped = [event for event in report["events"] if event["kind"] == "skipped_step"]
    assert len(skipped) == 1
    assert skipped[0]["step"] == 2
    assert len(skipped[0]["example_ids"]) == 4
    assert "skipped_step" in listener.events
    assert report["steps"] == report["planned_steps"]


def test_a_diverged_training_goes_back_slows_down_and_ends_within_its_limit(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(tiny, tmp_path, rows=make_rows(8), num_epochs=30)
    real = trainer.stepper._micro_step
    steps = trainer.order.steps

    def exploding(rows: Any, tokens: int, step: int) -> torch.Tensor:
        loss = real(rows, tokens, step)
        slow = trainer.history.rollbacks > 0
        return loss if slow or trainer.history.step < steps // 2 else loss + 1000.0 * tokens

    monkeypatch.setattr(trainer.stepper, "_micro_step", exploding)
    report = trainer.run()
    rollback = next(event for event in report["events"] if event["kind"] == "rollback")
    assert rollback["rate_factor"] == 0.5
    assert rollback["diverged_at"] > steps // 2
    assert report["steps"] == steps


def test_a_training_that_keeps_diverging_stops_with_a_verdict(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(tiny, tmp_path, num_epochs=20, max_rollbacks=1)
    real = trainer.stepper._micro_step
    monkeypatch.setattr(
        trainer.stepper, "_micro_step",
        lambda rows, tokens, step: real(rows, tokens, step) * (math.nan if step > 1 else 1),
    )  # fmt: skip
    with pytest.raises(TrainingDivergedError, match="after 1 rollbacks; lower learning_rate"):
        trainer.run()


def test_a_base_whose_weights_are_not_finite_is_told_at_once(tiny: Path, tmp_path: Path) -> None:
    trainer = make_trainer(tiny, tmp_path, num_epochs=20)
    trainer.model.get_input_embeddings().weight.data.fill_(math.nan)
    with pytest.raises(TrainingDivergedError, match="weights of model_name=demo are damaged"):
        trainer.run()
    assert len(trainer.history.losses) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_the_next_run_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    rows = make_rows(12)
    undisturbed = make_trainer(tiny, tmp_path / "a", rows)
    undisturbed.run()
    trainer = make_trainer(tiny, tmp_path / "b", rows)
    real = trainer.stepper.update

    def update() -> None:
        real()
        if trainer.history.step == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(trainer.stepper, "update", update)
    with pytest.raises(TrainingInterruptedError, match="same command again"):
        trainer.run()
    resumed = make_trainer(tiny, tmp_path / "b", rows)
    report = resumed.run()
    assert [event["kind"] for event in report["events"]] == ["resumed"]
    assert adapter_bytes(resumed) == adapter_bytes(undisturbed)


def test_a_finished_training_starts_afresh_the_next_time(tiny: Path, tmp_path: Path) -> None:
    finished = make_trainer(tiny, tmp_path, save_strategy="epoch")
    finished.run()
    finished.checkpoints.finish()
    assert make_trainer(tiny, tmp_path, save_strategy="epoch").run()["events"] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"save_strategy": "epoch"}, {"save_strategy": "steps", "save_steps": 4, "save_only_model": True},
        {"save_strategy": "epoch", "save_total_limit": 1, "load_best_model_at_end": True},
        {"save_strategy": "epoch", "num_epochs": 40, "learning_rate": 5e-2, "early_stopping_patience": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_finished_training_that_was_not_published_takes_no_step_and_ends_the_same(
    tiny: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    finished = make_trainer(tiny, tmp_path, ROWS, validation=make_rows(4, seed=2), **settings)
    report = finished.run()
    listener = Listener()
    again = make_trainer(tiny, tmp_path, ROWS, validation=make_rows(4, seed=2), reporter=listener, **settings)
    repeated = again.run()
    assert listener.metrics == []
    assert adapter_bytes(again) == adapter_bytes(finished)
    assert [repeated[key] for key in ("losses", "validation", "steps")] == [
        report[key] for key in ("losses", "validation", "steps")
    ]


def test_early_stopping_and_the_best_adapter(tiny: Path, tmp_path: Path) -> None:
    trainer = make_trainer(
        tiny, tmp_path, validation=make_rows(6, seed=5), num_epochs=40, learning_rate=5e-2,
        early_stopping_patience=2, load_best_model_at_end=True,
    )  # fmt: skip
    report = trainer.run()
    kinds = [event["kind"] for event in report["events"]]
    assert "early_stop" in kinds
    assert "best_model_loaded" in kinds
    assert report["steps"] < report["planned_steps"]
    best = min(entry["loss"] for entry in report["validation"])
    assert trainer.stepper.validate(trainer.validation_rows) == pytest.approx(best, rel=1e-5)


def test_patience_that_ends_with_the_last_step_is_no_early_stop(tiny: Path, tmp_path: Path) -> None:
    settings = {"lr_scheduler_type": "constant", "learning_rate": 5e-2, "early_stopping_patience": 1}
    validation = make_rows(6, seed=5)
    stopped = make_trainer(tiny, tmp_path / "a", validation=validation, num_epochs=40, **settings).run()
    assert "early_stop" in [event["kind"] for event in stopped["events"]]
    settings["max_steps"] = stopped["steps"]
    ended = make_trainer(tiny, tmp_path / "b", validation=validation, num_epochs=40, **settings).run()
    assert ended["losses"] == stopped["losses"]
    assert ended["events"] == []


def test_no_rows_and_foreign_scheduler_options_are_one_sentence(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(NoExamplesError):
        make_trainer(tiny, tmp_path, rows=[])
    with pytest.raises(ParameterError, match="lr_scheduler_kwargs"):
        make_trainer(tiny, tmp_path, lr_scheduler_type="polynomial", lr_scheduler_kwargs={"lr_end": 9.0})


ROWS = make_rows(12)


def outcome(tiny: Path, folder: Path, **settings: Any) -> tuple[dict[str, Any], bytes]:
    trainer = make_trainer(tiny, folder, ROWS, validation=make_rows(4, seed=2), **settings)
    return trainer.run(), adapter_bytes(trainer)


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    return outcome(tiny, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1}, {"num_epochs": 3}, {"max_steps": 2}, {"batch_size": 3}, {"gradient_accumulation_steps": 1},
        {"learning_rate": 1e-3}, {"lr_scheduler_type": "linear"}, {"warmup_ratio": 0.5}, {"warmup_steps": 3},
        {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 3}},
        {"weight_decay": 0.5}, {"max_grad_norm": 1e-3}, {"optim": "adamw_8bit"}, {"adam_beta1": 0.5},
        {"adam_beta2": 0.9}, {"adam_epsilon": 1e-2}, {"bf16": True}, {"fp16": True}, {"lora_r": 2}, {"lora_alpha": 32},
        {"lora_dropout": 0.5}, {"use_rslora": True}, {"use_dora": True}, {"init_lora_weights": "gaussian"},
        {"loraplus_lr_ratio": 8.0}, {"neftune_noise_alpha": 5.0}, {"lr_scheduler_type": "constant_with_warmup"},
        {"lr_scheduler_type": "reduce_lr_on_plateau"}, {"batch_size": "auto", "effective_batch_size": 6},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_is_no_run_time_one_changes_the_adapter(
    tiny: Path, tmp_path: Path, plain: tuple[dict[str, Any], bytes], settings: dict[str, Any]
) -> None:
    assert outcome(tiny, tmp_path, **settings)[1] != plain[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2}, {"dataloader_pin_memory": False},
        {"remove_unused_columns": False}, {"save_strategy": "steps", "save_steps": 2}, {"save_strategy": "best"},
        {"save_strategy": "epoch", "save_total_limit": 1, "save_only_model": True}, {"logging_steps": 3},
        {"empty_cache_steps": 1}, {"enable_memory_monitoring": False}, {"max_memory_gb": 4.0},
        {"gradient_checkpointing": True}, {"eval_strategy": "steps", "eval_steps": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_run_time_setting_leaves_the_adapter_as_it_is(
    tiny: Path, tmp_path: Path, plain: tuple[dict[str, Any], bytes], settings: dict[str, Any]
) -> None:
    assert outcome(tiny, tmp_path, **settings)[1] == plain[1]


def test_checkpoints_follow_the_save_settings(tiny: Path, tmp_path: Path) -> None:
    outcome(tiny, tmp_path / "steps", save_strategy="steps", save_steps=2, save_total_limit=None)
    assert sorted(p.name for p in (tmp_path / "steps").iterdir()) == [
        "checkpoint-2",
        "checkpoint-4",
        "checkpoint-6",
    ]
    outcome(tiny, tmp_path / "rest", save_strategy="steps", save_steps=4)
    assert sorted(p.name for p in (tmp_path / "rest").iterdir()) == ["checkpoint-4", "checkpoint-6"]
    outcome(tiny, tmp_path / "epoch", save_strategy="epoch", save_total_limit=1)
    assert [p.name for p in (tmp_path / "epoch").iterdir()] == ["checkpoint-6"]
    outcome(tiny, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_memory_and_losses_are_recorded_as_often_as_asked(tiny: Path, tmp_path: Path) -> None:
    often, seldom = Listener(), Listener()
    make_trainer(tiny, tmp_path, ROWS, reporter=often).run()
    make_trainer(tiny, tmp_path, ROWS, reporter=seldom, logging_steps=4, enable_memory_monitoring=False).run()
    assert [step for step, metrics in often.metrics if "loss" in metrics] == [1, 2, 3, 4, 5, 6]
    assert [step for step, metrics in seldom.metrics if "loss" in metrics] == [4, 6]
    assert any("host_resident_gib" in name for _, metrics in often.metrics for name in metrics)
    assert not any("host_resident_gib" in name for _, metrics in seldom.metrics for name in metrics)


def test_what_is_told_of_a_step_is_handed_over_before_its_checkpoint(tiny: Path, tmp_path: Path) -> None:
    order: list[str] = []

    class Told(Reporter):
        def log_metrics(self, metrics: dict[str, float], step: int) -> None:
            order.append(f"step {step}")

        def flush(self) -> None:
            order.append("handed over")

    trainer = make_trainer(tiny, tmp_path, ROWS, reporter=Told(), save_strategy="steps", save_steps=3)
    save = trainer.checkpoints.save
    trainer.checkpoints.save = lambda *args: order.append("saved") or save(*args)  # type: ignore[func-returns-value]
    trainer.run()
    assert order[:6] == ["step 1", "step 2", "step 3", "handed over", "saved", "step 4"]


def test_memory_is_freed_as_often_as_asked(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwen_pipeline.training import loop

    freed: list[int] = []
    trainer = make_trainer(tiny, tmp_path, ROWS, empty_cache_steps=2)
    monkeypatch.setattr(loop, "release_memory", lambda: freed.append(trainer.history.step))
    trainer.run()
    assert freed == [2, 4, 6]


def test_a_training_that_fails_leaves_no_process_that_fetches(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ignore the signal by which Python ends what is left at its exit, and it would wait for them without end."""
    trainer = make_trainer(tiny, tmp_path, dataloader_num_workers=1)

    def fail(rows: Any) -> None:
        assert multiprocessing.active_children()
        raise ZeroDivisionError

    monkeypatch.setattr(trainer, "_train_step", fail)
    with pytest.raises(ZeroDivisionError) as failure:
        trainer.run()
    assert failure.value.__traceback__  # which holds the loop's frames
    assert not multiprocessing.active_children()
