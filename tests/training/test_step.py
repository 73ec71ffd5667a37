"""One optimiser step is the same however its rows are put together, and whatever runs out on the way."""

from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.chat.packing import count_trained_tokens, pack, split_rows
from qwen_pipeline.training import micro_step as micro_step_module
from qwen_pipeline.training.loop import Trainer
from qwen_pipeline.training.micro_step import packed_loss
from training.tiny_training import make_rows, make_trainer


def gradients(
    trainer: Trainer, rows: list[dict[str, Any]], max_rows: int, max_tokens: int | None = None
) -> torch.Tensor:
    """The clipped-off gradient of a step as one vector."""
    trainer.stepper.max_rows, trainer.stepper.max_tokens, trainer.stepper.max_grad_norm = (
        max_rows,
        max_tokens,
        1e9,
    )
    trainer.stepper.accumulate(rows)
    vector = torch.cat([p.grad.flatten() for p in trainer.stepper.trained if p.grad is not None]).clone()
    trainer.parts.optimiser.zero_grad(set_to_none=True)
    return vector


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize(("max_rows", "max_tokens"), [(8, None), (3, None), (8, 25), (2, 1000)])
def test_any_split_gives_the_gradient_of_one_row_at_a_time(
    tiny: Path, tmp_path: Path, max_rows: int, max_tokens: int | None
) -> None:
    trainer, rows = make_trainer(tiny, tmp_path), make_rows(8)
    single = gradients(trainer, rows, 1)
    assert relative(gradients(trainer, rows, max_rows, max_tokens), single) <= 1e-5
    assert single.norm() > 0


def test_a_packed_loss_is_the_sum_of_its_rows_losses(tiny: Path, tmp_path: Path) -> None:
    trainer, rows = make_trainer(tiny, tmp_path), make_rows(5)
    with torch.no_grad():
        together = float(packed_loss(trainer.model, pack(rows, "cpu")))
        apart = sum(float(packed_loss(trainer.model, pack([row], "cpu"))) for row in rows)
    assert together == pytest.approx(apart, rel=1e-5)


def test_the_loss_is_that_of_plain_transformers(tiny: Path, tmp_path: Path) -> None:
    trainer, rows = make_trainer(tiny, tmp_path), make_rows(4)
    with torch.no_grad():
        ours = float(packed_loss(trainer.model, pack(rows, "cpu"))) / count_trained_tokens(rows)
        trainer.model.get_base_model().set_attn_implementation("sdpa")
        total = 0.0
        for row in rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
            total += float(trainer.model(input_ids=ids, labels=labels).loss) * count_trained_tokens([row])
    assert ours == pytest.approx(total / count_trained_tokens(rows), rel=1e-5)


@pytest.mark.parametrize("failing_call", [0, 1, 2])
def test_running_out_of_memory_leaves_the_gradient_as_it_would_have_been(
    tiny: Path, tmp_path: Path, failing_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rows = make_trainer(tiny, tmp_path), make_rows(8)
    undisturbed = gradients(trainer, rows, 3)
    calls, real = [0], micro_step_module.packed_loss

    def fails_once(model: Any, batch: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == failing_call + 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        return real(model, batch)

    monkeypatch.setattr(micro_step_module, "packed_loss", fails_once)
    assert relative(gradients(trainer, rows, 3), undisturbed) <= 1e-5
    kinds = [event["kind"] for event in trainer.history.events]
    assert kinds == ["out_of_memory"]
    assert trainer.stepper.max_tokens is not None


def test_an_optimiser_that_runs_out_of_memory_is_tried_again_with_the_same_update(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for fails in (False, True):
        trainer, rows = make_trainer(tiny, tmp_path), make_rows(4)
        real, calls = trainer.parts.optimiser.step, [0]

        def step(*arguments: Any, real: Any = real, calls: list[int] = calls, fails: bool = fails) -> Any:
            calls[0] += 1
            if fails and calls[0] == 1:
                raise torch.OutOfMemoryError("out of memory")
            return real(*arguments)

        monkeypatch.setattr(trainer.parts.optimiser, "step", step)
        trainer.stepper.accumulate(rows)
        trainer.stepper.update()
        outcomes.append(torch.cat([p.detach().flatten() for p in trainer.stepper.trained]))
        assert calls[0] == (2 if fails else 1)
    assert torch.equal(*outcomes)


def test_validation_splits_when_memory_runs_out_and_changes_no_weight(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rows = make_trainer(tiny, tmp_path, lora_dropout=0.5), make_rows(6)
    before = gradients(trainer, rows, 6)
    expected = trainer.stepper.validate(rows)
    calls, real = [0], micro_step_module.last_hidden_states

    def fails_once(model: Any, batch: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == 1:
            raise torch.OutOfMemoryError("out of memory")
        return real(model, batch)

    monkeypatch.setattr(micro_step_module, "last_hidden_states", fails_once)
    assert trainer.stepper.validate(rows) == pytest.approx(expected, rel=1e-6)
    assert calls[0] == 3
    monkeypatch.undo()
    torch.manual_seed(0)
    first = gradients(trainer, rows, 6)
    torch.manual_seed(0)
    trainer.stepper.validate(rows)
    torch.manual_seed(0)
    assert torch.equal(gradients(trainer, rows, 6), first)
    assert before.norm() > 0


def test_split_rows_keeps_order_and_respects_both_limits() -> None:
    rows = make_rows(20, seed=3)
    parts = list(split_rows(rows, 4, 30))
    assert [row for part in parts for row in part] == rows
    for part in parts:
        assert len(part) <= 4
        assert len(part) == 1 or sum(len(row["input_ids"]) for row in part) <= 30
