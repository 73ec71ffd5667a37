"""Whether a step on the device is the step that it should be: against the padded peer's, after a recovery, and twenty in a row."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from gpu_kernels import check_kernels
from gpu_model import TINY, Rows, build_base, build_model, make_rows, peer_step
from gpu_report import Part
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor
from transformers import Qwen3Config

from qwen_pipeline.chat.packing import halves, pack
from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.recovery import run_or_split
from qwen_pipeline.memory.transaction import GradientTransaction
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.model.lora import ALL_LINEAR
from qwen_pipeline.training.micro_step import packed_loss
from qwen_pipeline.training.step import Stepper

STEPS = 20
RATES = {
    "": 1e-2,
    "_at_2e-4": 2e-4,
}  # one at which a small model moves far in a few steps, and that of conf/qwen3_4b
Trains = Callable[[Rows], float]  # takes a step and returns the loss before it


def check_parity(part: Part, device: torch.device) -> None:
    """Packed step on the device against the padded peer's, in float32, recovery against none, and the losses of some steps."""
    part.attempt("kernels", lambda inner: check_kernels(inner, device))
    check_gradients(part, device)
    compare_losses(part, device)


def compare_losses(part: Part, device: torch.device) -> None:
    """The losses of some steps of this loop and of plain transformers with peft, in both dtypes, from the same adapters.

    The bfloat16 losses are held against the float32 ones too: that says which of the two is nearer to the truth.
    """
    start = get_peft_model_state_dict(plain_model(device, torch.float32))
    for suffix, rate in RATES.items():
        found = {
            (dtype, trainer): losses_of(trainer, start, device, dtype, rate)
            for dtype in (torch.float32, torch.bfloat16)
            for trainer in (plain_trainer, our_trainer)
        }
        exact = found[torch.float32, plain_trainer]
        for dtype in (torch.float32, torch.bfloat16):
            name = f"losses_of_{STEPS}_steps_{str(dtype).removeprefix('torch.')}{suffix}"
            part.note(**{name: largest_difference(found[dtype, our_trainer], found[dtype, plain_trainer])})
        from_float32 = {
            "ours": largest_difference(found[torch.bfloat16, our_trainer], exact),
            "plain": largest_difference(found[torch.bfloat16, plain_trainer], exact),
        }
        part.note(**{f"bfloat16_from_float32{suffix}": from_float32})


def largest_difference(losses: Sequence[float], others: Sequence[float]) -> float:
    """Relative."""
    return max(abs(one / other - 1) for one, other in zip(losses, others, strict=True))


def losses_of(
    trainer: Callable[[Any, torch.device, torch.dtype, float], Trains],
    start: dict[str, Tensor],
    device: torch.device,
    dtype: torch.dtype,
    rate: float,
) -> list[float]:
    """Of some steps on rows that change, from the same adapters."""
    model = plain_model(device, dtype)
    set_peft_model_state_dict(model, start)
    train = trainer(model, device, dtype, rate)
    return [train(make_rows([60, 33, 17 + step, 48], TINY["vocab_size"])) for step in range(STEPS)]


def plain_model(device: torch.device, dtype: torch.dtype) -> Any:
    """Layers of transformers itself in 4 bits, with peft's own adapters."""
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=list(ALL_LINEAR), task_type="CAUSAL_LM")
    return get_peft_model(build_base(Qwen3Config(**TINY), device, dtype), lora).train()


def adam_of(model: Any, rate: float) -> torch.optim.Optimizer:
    """The optimiser of all that are compared."""
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)


def plain_trainer(model: Any, device: torch.device, dtype: torch.dtype, rate: float) -> Trains:
    """Steps as transformers' Trainer takes them."""
    optimiser = adam_of(model, rate)

    def train(rows: Rows) -> float:
        optimiser.zero_grad()
        loss = float(peer_step(model, rows, device, dtype == torch.bfloat16))
        torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 1.0)
        optimiser.step()
        return loss

    return train


def our_trainer(plain: Any, device: torch.device, dtype: torch.dtype, rate: float) -> Trains:
    """The loop's own steps on a model with the adapters of ``plain``."""
    model = build_model(Qwen3Config(**TINY), device, dtype, 8)
    set_peft_model_state_dict(model, get_peft_model_state_dict(plain))
    model.get_base_model().set_attn_implementation(register_packed_attention())
    apply_activation_policy(model, ActivationPolicy(0))
    stepper = Stepper(
        model=model, optimiser=adam_of(model, rate), device=device, compute_dtype=dtype, max_grad_norm=1.0, max_rows=2,
        max_tokens=None, scaler=torch.amp.GradScaler(device.type, enabled=False), on_event=lambda event: None,
    )  # fmt: skip

    def train(rows: Rows) -> float:
        loss = stepper.accumulate(rows).loss
        stepper.update()
        return loss

    return train


def check_gradients(part: Part, device: torch.device) -> None:
    """One step against the peer's, and one that was recovered against one that was not."""
    model = build_model(Qwen3Config(**TINY), device, torch.float32, 8)
    apply_activation_policy(model, ActivationPolicy(0))
    rows = list(make_rows([60, 33, 17, 48], TINY["vocab_size"]))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradient(run: Callable[[], Any]) -> Tensor:
        model.zero_grad(set_to_none=True)
        run()
        return torch.cat([parameter.grad.flatten().double() for parameter in trained])

    def loss_sum(part: Rows) -> Tensor:
        model.get_base_model().set_attn_implementation(register_packed_attention())
        loss = packed_loss(model, pack(part, device))
        if len(part) > 1 and failing:
            raise torch.OutOfMemoryError("injected")
        loss.backward()
        return loss.detach()

    failing: list[bool] = []
    whole = gradient(lambda: loss_sum(rows))
    failing.append(True)
    recovered = gradient(
        lambda: run_or_split(
            rows, run=loss_sum, split=halves, transaction=GradientTransaction(trained, device)
        )
    )
    tokens = sum(label != -100 for row in rows for label in row["labels"][1:])
    peer = gradient(lambda: peer_step(model, rows, device, False)) * tokens
    part.note(
        gradient_against_peer=float((whole - peer).norm() / peer.norm()),
        gradient_after_recovery=float((recovered - whole).norm() / whole.norm()),
    )
