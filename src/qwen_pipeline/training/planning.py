"""Settings of a training from the memory plan: micro-batch, activations, cap."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import torch

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.kernels.fused import kernels_run
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.pace import measure_host_tokens
from qwen_pipeline.memory.plan import MemoryPlan, PlanRequest, RowLengths
from qwen_pipeline.memory.plan_table import describe_settings
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.memory_recipe import step_recipe
from qwen_pipeline.training.precision import compute_dtype_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """How micro-batches are made.

    Attributes:
        max_rows: Rows of a micro-batch.
        max_tokens: Token budget, ``None`` for none.
        policy: What layers keep of their activations.
        memory: The memory plan behind it, ``None`` where none was made.
    """

    max_rows: int
    max_tokens: int | None
    policy: ActivationPolicy
    memory: MemoryPlan | None


def plan_request(
    parameters: TrainParameters,
    config: Any,
    lengths: RowLengths,
    cap: MemoryCap,
    on_gpu: bool,
    kernels: bool = True,
) -> PlanRequest:
    """What the memory plan is asked.

    Args:
        parameters: All settings of the training.
        config: The base model's transformers configuration.
        lengths: Tokens of each training row.
        cap: The memory allowed.
        on_gpu: Plan for a card, else for this machine's memory.
        kernels: Whether Triton's kernels run on that card.

    Raises:
        ParameterError: ``gradient_checkpointing`` keeps more layers than there are.
    """
    checkpointing = parameters.gradient_checkpointing
    policy = None if checkpointing == "auto" else ActivationPolicy.parse(checkpointing)
    if policy and policy.kept_layers and policy.kept_layers > (layers := config.num_hidden_layers):
        raise ParameterError(
            f"gradient_checkpointing={checkpointing}: the model has {layers} layers; write keep:{layers} or less, or keep."
        )
    return PlanRequest(
        config=config,
        recipe=step_recipe(
            lora_r=parameters.lora_r,
            lora_alpha=parameters.lora_alpha,
            lora_dropout=parameters.lora_dropout,
            neftune_noise_alpha=parameters.neftune_noise_alpha,
            compute_dtype=compute_dtype_for(parameters, torch.device("cuda" if on_gpu else "cpu")),
            on_gpu=on_gpu,
            kernels=kernels,
            **parameters.lora_variant,
        ),
        row_lengths=lengths,
        examples_per_step=-(-parameters.examples_per_step // parameters.num_processes),
        cap=cap,
        batch_size=None if parameters.batch_size == "auto" else parameters.batch_size,
        policy=policy,
        optim=parameters.optim,
        on_gpu=on_gpu,
    )


def plan_training(
    parameters: TrainParameters, config: Any, lengths: RowLengths, cap: MemoryCap, device: torch.device
) -> TrainingPlan:
    """Choose micro-batch and activations.

    Args:
        parameters: All settings of the training.
        config: The base model's transformers configuration.
        lengths: Tokens of each training row.
        cap: The memory allowed.
        device: Where the training runs.

    Raises:
        MemoryPlanError: Nothing fits; the message says what would.
    """
    on_gpu = device.type == "cuda"
    kernels = on_gpu and torch.cuda.is_available() and kernels_run(torch.empty(0, device=device))
    request = plan_request(parameters, config, lengths, cap, on_gpu, kernels)
    plan = make_plan(replace(request, host_tokens=measure_host_tokens(config, device)))
    logger.info(
        "Memory plan: %.2f of %s (%.2f for %s, %.2f for the training). %s",
        plan.parts.process / GIB,
        cap,
        cap.context_gib,
        "the CUDA context" if on_gpu else "libraries and their kernels",
        plan.needs_gib,
        describe_settings(plan),
    )
    return TrainingPlan(plan.max_rows, plan.max_tokens, plan.policy, plan)
