"""What a training says of its memory plan."""

import io
import logging
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.parts import PlanParts
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest
from qwen_pipeline.memory.plan_table import plan_table
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training import planning

PARTS = PlanParts(
    weights=GIB, quantisation=0, adapters=0, gradients=0, optimiser=0, optimiser_paged=0, activations=GIB // 2,
    logits=0, workspace=0, libraries=0, fragmentation=0, context=GIB // 4,
)  # fmt: skip


@pytest.mark.parametrize(
    ("device", "what"), [("cpu", "libraries and their kernels"), ("cuda", "the CUDA context")]
)
def test_the_plan_is_told_as_what_the_process_takes_of_the_cap(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, device: str, what: str
) -> None:
    asked: list[PlanRequest] = []

    def plan(request: PlanRequest) -> MemoryPlan:
        asked.append(request)
        return MemoryPlan(1024, 8, ActivationPolicy(3), PARTS, request.cap, 1.0)

    monkeypatch.setattr(planning, "make_plan", plan)
    cap = MemoryCap(8.0, 0.25)
    settings: dict[str, Any] = {"use_dora": True, "batch_size": 8, "gradient_accumulation_steps": 2}
    with caplog.at_level(logging.INFO):
        made = planning.plan_training(TrainParameters(**settings), None, [5, 7], cap, torch.device(device))
    assert f"1.75 of max_memory_gb=8.0 (0.25 for {what}, 1.50 for the training)." in caplog.text
    assert "up to 1,024 tokens and 8 rows; the last 3 layers keep their activations" in caplog.text
    assert (made.max_rows, made.max_tokens, asked[0].examples_per_step) == (8, 1024, 16)


def test_more_kept_layers_than_there_are_is_refused_with_their_number() -> None:
    config, cap = SimpleNamespace(num_hidden_layers=3), MemoryCap(8.0, 0.25)
    for kept, is_refused in ((3, False), (4, True)):
        parameters = TrainParameters(gradient_checkpointing=f"keep:{kept}")
        with (
            pytest.raises(ParameterError, match="has 3 layers; write keep:3 or less")
            if is_refused
            else nullcontext()
        ):
            planning.plan_request(parameters, config, [5, 7], cap, on_gpu=False)


@pytest.mark.parametrize(
    ("libraries", "words"),
    [(0, "resident memory"), (2**25, "as nvidia-smi shows it"), (2**25, "CUDA context")],
)
def test_the_table_speaks_of_the_device_that_is_planned_for(libraries: int, words: str) -> None:
    parts = replace(PARTS, libraries=libraries)
    plan = MemoryPlan(1024, 8, ActivationPolicy(3), parts, MemoryCap(8.0, 0.25), 1.0)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(plan_table(plan))
    assert words in console.export_text()
