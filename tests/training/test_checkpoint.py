"""Checkpoints: whole or not there, bounded in number, patient with a full disk."""

import logging
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.errors import CheckpointError, DiskSpaceError
from qwen_pipeline.training import checkpoint as checkpoint_module
from qwen_pipeline.training import patient_writer
from qwen_pipeline.training.checkpoint import ADAPTER, STATE, Checkpoints
from qwen_pipeline.training.loop import Trainer
from qwen_pipeline.training.patient_writer import PatientWriter
from qwen_pipeline.training.safe_points import SafePoints
from training.tiny_training import make_rows, make_trainer

GIB = 2**30


@pytest.fixture
def trainer(tiny: Path, tmp_path: Path) -> Trainer:
    return make_trainer(tiny, tmp_path / "unused")


def checkpoints(folder: Path, writer: dict[str, Any] | None = None, **options: Any) -> Checkpoints:
    kept = PatientWriter(folder, **(writer or {}))
    return Checkpoints(folder, **{"total_limit": 2, "only_model": False, "writer": kept, **options})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_so_many_are_kept_and_the_newest_is_found(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    for step in (2, 4, 10):
        kept.save(step, trainer.model, {"step": step})
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-4"]
    newest = kept.newest()
    assert newest is not None
    assert (newest[0].name, newest[1]) == ("checkpoint-10", {"step": 10})


def test_only_the_newest_keeps_its_state_with_save_only_model_and_none_at_the_end(
    trainer: Trainer, tmp_path: Path
) -> None:
    kept = checkpoints(tmp_path, total_limit=None, only_model=True)
    for step in (1, 2, 3):
        kept.save(step, trainer.model, {"step": step})
    assert [(tmp_path / f"checkpoint-{n}" / STATE).exists() for n in (1, 2, 3)] == [False, False, True]
    assert all((tmp_path / f"checkpoint-{n}" / ADAPTER).exists() for n in (1, 2, 3))
    kept.finish()
    assert kept.newest() is None


def test_a_damaged_checkpoint_is_passed_over(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    kept.save(1, trainer.model, {"step": 1})
    kept.save(2, trainer.model, {"step": 2})
    state = tmp_path / "checkpoint-2" / STATE
    state.write_bytes(state.read_bytes()[:50])
    newest = kept.newest()
    assert newest is not None
    assert newest[1] == {"step": 1}


def test_a_checkpoint_with_one_changed_bit_is_passed_over(
    trainer: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """torch reads a tensor without its checksum, and the training would end with another adapter."""
    kept = checkpoints(tmp_path)
    for step in (1, 2):
        kept.save(step, trainer.model, {"step": step, "weights": torch.ones(10_000)})
    state = tmp_path / "checkpoint-2" / STATE
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    newest = kept.newest()
    assert newest is not None
    assert newest[1]["step"] == 1
    assert "checkpoint-2 is damaged and is passed over: " in caplog.text
    assert "not what was written" in caplog.text


def test_a_damaged_best_adapter_is_told_with_its_remedy(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    kept.save_best(trainer.model)
    best = tmp_path / checkpoint_module.BEST
    best.write_bytes(best.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{best}, is damaged .* Remove {tmp_path} and run again"):
        kept.load_best(trainer.model)


def test_what_a_killed_save_left_behind_is_removed_and_never_loaded(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    kept.save(1, trainer.model, {"step": 1})
    (tmp_path / ".partial-2-77").mkdir()
    (tmp_path / ".partial-2-77" / ADAPTER).write_bytes(b"half")
    (tmp_path / ".partial-best-77").write_bytes(b"half")
    newest = kept.newest()
    assert newest is not None
    assert newest[1] == {"step": 1}
    kept.clear_leftovers()
    assert names(tmp_path) == ["checkpoint-1"]


def test_a_disk_too_small_for_the_run_is_told_before_it_starts(trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(DiskSpaceError, match="save_total_limit=1"):
        checkpoints(tmp_path, {"free_bytes": lambda path: 2**20}).require_space(trainer.model, 3)


@pytest.mark.parametrize(
    ("options", "whole", "adapters"),
    [
        ({"total_limit": None}, 2 + 9, 1), ({"total_limit": 1}, 2, 1), ({"total_limit": 3}, 2 + 2, 1),
        ({"total_limit": None, "only_model": True}, 2, 9 + 1),
    ],
    ids=str,
)  # fmt: skip
def test_the_space_asked_for_is_for_all_that_the_run_keeps(
    trainer: Trainer, tmp_path: Path, options: dict[str, Any], whole: int, adapters: int
) -> None:
    asked = checkpoints(tmp_path, **options).require_space(trainer.model, 10)
    one = checkpoint_module.adapter_bytes(trainer.model)
    assert asked == (10 * whole + adapters) * one + checkpoint_module.RESERVE_BYTES


def test_a_checkpoint_takes_what_is_said(trainer: Trainer, tmp_path: Path) -> None:
    trainer.stepper.accumulate(make_rows(2))
    trainer.stepper.update()
    capture = trainer.parts.capture
    trainer.continuation.safe_points = SafePoints(capture(trainer.history), capture(trainer.history))
    folder = checkpoints(tmp_path).save(1, trainer.model, trainer.continuation.state(trainer.history))
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert 0.9 * size <= checkpoint_module.checkpoint_bytes(trainer.model) + 120_000  # names and headers
    assert checkpoint_module.checkpoint_bytes(trainer.model) <= size


@pytest.mark.parametrize(
    ("settings", "saves"),
    [
        ({"save_strategy": "epoch"}, 2), ({"save_strategy": "steps", "save_steps": 2}, 3), ({"save_strategy": "no"}, 0),
        ({"save_strategy": "best"}, 2), ({"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 1}, 6),
    ],
    ids=str,
)  # fmt: skip
def test_saves_are_counted_as_the_settings_say(
    tiny: Path, tmp_path: Path, settings: dict[str, Any], saves: int
) -> None:
    trainer = make_trainer(tiny, tmp_path, validation=make_rows(2), **settings)
    assert trainer.cadence.most_saves(0) == saves


def test_a_full_disk_pauses_the_run_with_one_line_and_it_goes_on_when_there_is_room(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patient_writer, "WAIT_SECONDS", 0.01)
    looks = iter([0, 0, 0, GIB])
    kept = checkpoints(tmp_path, {"free_bytes": lambda path: next(looks)})
    with caplog.at_level(logging.WARNING):
        kept.save(1, trainer.model, {"step": 1})
    assert names(tmp_path) == ["checkpoint-1"]
    assert sum("Paused" in record.message for record in caplog.records) == 1


def test_a_disk_that_stays_full_ends_the_run_and_keeps_the_last_good_one(
    trainer: Trainer, tmp_path: Path
) -> None:
    kept = checkpoints(tmp_path)
    kept.save(1, trainer.model, {"step": 1})
    full = checkpoints(tmp_path, {"free_bytes": lambda path: 0, "patience_seconds": 0.0})
    with pytest.raises(CheckpointError, match="run again"):
        full.save(2, trainer.model, {"step": 2})
    assert names(tmp_path) == ["checkpoint-1"]


def save_step_or_best(kept: Checkpoints, what: str, trainer: Trainer) -> None:
    if what == "best":
        kept.save_best(trainer.model)
    else:
        kept.save(2, trainer.model, {"step": 2, "moments": torch.zeros(100_000)})


@pytest.mark.parametrize(("what", "limit"), [("best", 100), ("step", 100), ("step", 100_000)])
def test_a_write_that_the_system_stops_half_way_is_told_with_its_reason_and_leaves_nothing(
    trainer: Trainer, tmp_path: Path, what: str, limit: int
) -> None:
    kept = checkpoints(tmp_path)
    kept.save_best(trainer.model)
    kept.save(1, trainer.model, {"step": 1})
    before = {path: path.stat().st_size for path in tmp_path.rglob("*")}
    with files_of_at_most(limit), pytest.raises(CheckpointError, match=r"File too large.*run again"):
        save_step_or_best(kept, what, trainer)
    assert {path: path.stat().st_size for path in tmp_path.rglob("*")} == before


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system's own limit: writing beyond it fails with EFBIG, whoever writes."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("what", ["best", "step"])
def test_a_disk_that_fills_up_while_it_is_written_to_is_waited_for(
    trainer: Trainer,
    tmp_path: Path,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(patient_writer, "WAIT_SECONDS", 0.01)
    flush, failures = patient_writer.flush_tree, iter([True, True])

    def full_at_first(path: Path) -> None:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        flush(path)

    monkeypatch.setattr(patient_writer, "flush_tree", full_at_first)
    save_step_or_best(checkpoints(tmp_path), what, trainer)
    assert names(tmp_path) == ["best.safetensors" if what == "best" else "checkpoint-2"]
    assert sum("Paused" in record.message for record in caplog.records) == 1


def test_a_checkpoint_that_gave_way_to_one_that_never_came_is_taken_back(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = checkpoints(tmp_path, total_limit=1)
    kept.save(1, trainer.model, {"step": 1})
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == "checkpoint-1":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        kept.save(1, trainer.model, {"step": 1, "again": True})
    again = checkpoints(tmp_path)
    again.clear_leftovers()
    newest = again.newest()
    assert newest is not None and newest[1] == {"step": 1}
    assert names(tmp_path) == ["checkpoint-1"]


def test_a_copy_of_a_checkpoint_under_another_name_is_left_alone(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    (tmp_path / "checkpoint-0 (copy)").mkdir()
    (tmp_path / "checkpoint-9-old").mkdir()
    kept.save(1, trainer.model, {"step": 1})
    newest = kept.newest(mapped=True)
    assert newest is not None and newest[0].name == "checkpoint-1"
    kept.drop_after(0)
    assert names(tmp_path) == ["checkpoint-0 (copy)", "checkpoint-9-old"]


def test_the_checkpoint_of_the_step_gone_back_to_stays(trainer: Trainer, tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, total_limit=None)
    for step in (2, 4, 6):
        kept.save(step, trainer.model, {"step": step})
    kept.drop_after(4)
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-4"]


def test_a_checkpoint_whose_successor_is_there_goes(tmp_path: Path) -> None:
    for name in ("checkpoint-1", ".partial-replaced-checkpoint-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / STATE).write_text(name)
    checkpoints(tmp_path).clear_leftovers()
    assert names(tmp_path) == ["checkpoint-1"]
    assert (tmp_path / "checkpoint-1" / STATE).read_text() == "checkpoint-1"
