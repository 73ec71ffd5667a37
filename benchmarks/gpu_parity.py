"""Whether a step on the device is the step that it should be: against the padded peer's, after a recovery, and twenty in a row."""

from collections.abc import Callable
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
from qwen_pipeline.training.step import Stepper, packed_loss

STEPS = 20


def check_parity(part: Part, device: torch.device) -> None:
    """Packed step on the device against the padded peer's, in float32, recovery against none, and the losses of some steps."""
    part.attempt("kernels", lambda inner: check_kernels(inner, device))
    check_gradients(part, device)
    for dtype in (torch.float32, torch.bfloat16):
        part.note(**{f"losses_of_{STEPS}_steps_{dtype}".replace("torch.", ""): compare_losses(device, dtype)})


def compare_losses(device: torch.device, dtype: torch.dtype) -> float:
    """The largest relative difference between the losses of this loop and those of plain transformers with peft."""
    config = Qwen3Config(**TINY)
    ours = build_model(config, device, dtype, 8)
    theirs = get_peft_model(
        build_base(config, device, dtype),
        LoraConfig(r=8, lora_alpha=16, target_modules=list(ALL_LINEAR), task_type="CAUSAL_LM"),
    ).train()
    set_peft_model_state_dict(theirs, get_peft_model_state_dict(ours))
    ours.get_base_model().set_attn_implementation(register_packed_attention())
    apply_activation_policy(ours, ActivationPolicy(0))
    optimisers = [
        torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        for model in (ours, theirs)
    ]
    stepper = Stepper(
        model=ours, optimiser=optimisers[0], device=device, compute_dtype=dtype, max_grad_norm=1.0, max_rows=2, max_tokens=None,
        scaler=torch.amp.GradScaler(device.type, enabled=False), on_event=lambda event: None,
    )  # fmt: skip
    largest = 0.0
    for step in range(STEPS):
        rows = make_rows([60, 33, 17 + step, 48], TINY["vocab_size"])
        loss = stepper.accumulate(rows).loss
        stepper.update()
        optimisers[1].zero_grad()
        other = float(peer_step(theirs, rows, device, dtype == torch.bfloat16))
        torch.nn.utils.clip_grad_norm_(optimisers[1].param_groups[0]["params"], 1.0)
        optimisers[1].step()
        largest = max(largest, abs(loss / other - 1))
    return largest


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
