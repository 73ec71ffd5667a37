"""Optimisers by name, and two learning rates for LoRA+."""

from pathlib import Path

import pytest
import torch
from peft.optimizers import create_loraplus_optimizer
from pydantic import ValidationError

from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.optimisers import build_optimiser
from training.tiny_training import make_model, make_rows, make_trainer


@pytest.mark.parametrize(
    "optim", ["adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_32bit"]
)
def test_with_lora_plus_every_b_has_its_own_rate(tiny: Path, optim: str) -> None:
    parameters = TrainParameters(optim=optim, learning_rate=1e-3, loraplus_lr_ratio=16.0, weight_decay=0.1)
    model = make_model(tiny, parameters)
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimiser = build_optimiser(parameters, model)
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert set(found) == set(names.values())
    for name, (rate, decay) in found.items():
        assert rate == pytest.approx(1.6e-2 if "lora_B" in name else 1e-3)
        assert decay == 0.1


def test_a_step_with_lora_plus_is_that_of_peft(tiny: Path, tmp_path: Path) -> None:
    settings = {
        "loraplus_lr_ratio": 16.0,
        "lr_scheduler_type": "constant",
        "warmup_ratio": 0.0,
        "num_epochs": 1,
    }
    rows = make_rows(4)
    trainer = make_trainer(tiny, tmp_path, rows, **settings)
    report = trainer.run()
    other = make_trainer(tiny, tmp_path, rows, **settings)
    plain = create_loraplus_optimizer(other.model, torch.optim.AdamW, lr=1e-2, loraplus_lr_ratio=16.0)
    other.stepper.accumulate(rows)
    plain.step()
    assert report["steps"] == 1
    for ours, theirs in zip(trainer.stepper.trained, other.stepper.trained, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora", "loftq", "orthogonal", "eva", False])
def test_starts_that_four_bits_do_not_bear_are_refused_with_what_to_set(start: str | bool) -> None:
    with pytest.raises(ValidationError, match="set init_lora_weights=true or gaussian"):
        TrainParameters(init_lora_weights=start)


def test_a_gaussian_start_is_that_of_peft(tiny: Path) -> None:
    model = make_model(tiny, TrainParameters(init_lora_weights="gaussian", lora_r=8))
    down = torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_A" in name])
    up = torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_B" in name])
    assert float(down.detach().std()) == pytest.approx(1 / 8, rel=0.05)
    assert not up.any()


@pytest.mark.parametrize(
    ("one", "other", "tolerance"),
    [("adamw_torch_fused", "adamw_torch", 1e-4), ("adamw_bnb_8bit", "adamw_8bit", 0.0)],
)
def test_names_of_one_optimiser_train_alike(
    tiny: Path, tmp_path: Path, one: str, other: str, tolerance: float
) -> None:
    losses = [make_trainer(tiny, tmp_path / name, optim=name).run()["losses"] for name in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=tolerance, abs=0)
    assert type(
        make_trainer(tiny, tmp_path / "again", optim=one).parts.optimiser.param_groups[0].get("fused")
    ) is (bool if one.endswith("fused") else type(None))
