"""Whether a step on the device is the step that it should be: against the padded peer's, and after a recovery."""

from collections.abc import Callable
from typing import Any

import torch
from gpu_model import TINY, Rows, build_model, make_rows, peer_step
from gpu_report import Part
from torch import Tensor
from transformers import Qwen3Config

from qwen_pipeline.chat.packing import halves, pack
from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.recovery import run_or_split
from qwen_pipeline.memory.transaction import GradientTransaction
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.step import packed_loss


def check_parity(part: Part, device: torch.device) -> None:
    """Packed step on the device against the padded peer's, in float32, and recovery against none."""
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
