"""What train reads; the names are the guide's and those of transformers' ``TrainingArguments``."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from qwen_pipeline.params.fields import StageParameters, run_time
from qwen_pipeline.params.schedulers import VALIDATION_SCHEDULERS, SchedulerName, require_scheduler_options

OptimiserName = Literal[
    "adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit"
]  # fmt: skip

Checkpointing = Annotated[str, StringConstraints(pattern=r"^(auto|offload|keep|recompute|keep:\d+)$")]


class TrainParameters(StageParameters):
    """How the adapter is trained."""

    model_name: str = Field(
        "demo", min_length=1, description="The base model: demo, a hub id, or a folder with a model."
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**32 - 1,
        description="Seed for the adapters' start, the order of the rows and the dropout.",
    )

    num_epochs: float = Field(3, gt=0, le=1000, description="Passes over the training rows.")
    max_steps: int | None = Field(None, ge=1, description="Stop after this number of optimiser steps.")
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field(
        4, description="Largest number of rows in a micro-batch; auto: the memory plan chooses."
    )
    gradient_accumulation_steps: int = Field(
        4, ge=1, le=4096, description="Number of micro-batches in an optimiser step."
    )
    effective_batch_size: int = Field(
        16, ge=1, le=65_536, description="Number of rows in an optimiser step if batch_size is auto."
    )
    max_sequence_length: int = Field(
        512, ge=1, le=1_048_576, description="Largest number of tokens in a row."
    )

    learning_rate: float = Field(2e-4, ge=1e-30, le=1, description="Peak learning rate.")
    lr_scheduler_type: SchedulerName = Field(
        "cosine", description="Schedule of the learning rate, by its name in transformers."
    )
    lr_scheduler_kwargs: dict[str, Any] = Field(default_factory=dict, description="Options of the schedule.")
    warmup_ratio: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Share of the steps in which the rate warms up, rounded up to whole steps.",
    )
    warmup_steps: int = Field(
        0, ge=0, description="Number of warm-up steps; above 0 it replaces warmup_ratio."
    )
    optim: OptimiserName = Field("adamw_torch", description="Optimiser, by its name in transformers.")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="First decay rate of Adam.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Second decay rate of Adam.")
    adam_epsilon: float = Field(1e-8, ge=1e-30, le=1, description="Epsilon of Adam.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the adapters.")
    max_grad_norm: float = Field(1.0, ge=1e-6, description="Gradients are clipped to this norm.")
    bf16: bool = Field(True, description="Compute in bfloat16, or in what is fast on hardware without it.")
    fp16: bool = Field(False, description="Compute in float16 with loss scaling; needs bf16=false.")

    lora_r: int = Field(16, ge=1, le=1024, description="Rank of the adapters.")
    lora_alpha: float = Field(
        32,
        ge=1e-30,
        le=1_000_000,
        description="Scale of the adapters: their output is multiplied by alpha / r.",
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapters' input.")
    use_rslora: bool = Field(False, description="Scale by alpha / sqrt(r) instead of alpha / r.")
    use_dora: bool = Field(
        False, description="Train direction and magnitude of the weights separately (DoRA)."
    )
    init_lora_weights: bool | str = Field(
        True, description="Start of the adapters: true (Kaiming), or gaussian; B is zero in both."
    )
    loraplus_lr_ratio: float | None = Field(
        None, ge=1, le=1000, description="Learning rate of B relative to that of A (LoRA+)."
    )
    neftune_noise_alpha: float | None = Field(
        None, gt=0, le=1000, description="Noise on the embeddings while training (NEFTune)."
    )
    gradient_checkpointing: bool | Checkpointing = Field(
        "auto",
        description="Recompute activations: true, false, auto (by the memory plan), keep:LAYERS or offload.",
    )

    eval_strategy: Literal["no", "epoch", "steps"] = Field(
        "epoch", description="When the validation loss is measured."
    )
    eval_steps: int = Field(100, ge=1, description="Steps between two validations with eval_strategy=steps.")
    load_best_model_at_end: bool = Field(
        False, description="Keep the adapter with the lowest validation loss."
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after this number of validations without a lower loss."
    )
    max_rollbacks: int = Field(
        2,
        ge=0,
        le=10,
        description="How often a diverged training goes back and continues at half the rate, before it stops.",
    )

    max_memory_gb: float = run_time(8.0, gt=0, description="Hard cap of the process's GPU memory, in GiB.")
    num_processes: int = run_time(
        1, ge=1, le=64, description="Processes of this machine that share the rows of a step, one a card."
    )
    dataloader_num_workers: int = run_time(0, ge=0, le=64, description="Number of processes that load rows.")
    dataloader_pin_memory: bool = run_time(True, description="Pin loaded rows in host memory (CUDA only).")
    dataloader_prefetch_factor: int | None = run_time(
        None,
        ge=1,
        le=1024,
        description="Batches that each worker loads ahead; needs dataloader_num_workers above 0.",
    )
    remove_unused_columns: bool = run_time(True, description="Load only the columns that training reads.")
    save_strategy: Literal["no", "epoch", "steps", "best"] = run_time(
        "epoch", description="When checkpoints are saved."
    )
    save_steps: int = run_time(
        100, ge=1, description="Steps between two checkpoints with save_strategy=steps."
    )
    save_total_limit: int | None = run_time(
        2, ge=1, description="Number of checkpoints that are kept; None: all."
    )
    save_only_model: bool = run_time(
        False, description="Keep only adapters in checkpoints; the newest keeps its state until the run ends."
    )
    checkpoint_dir: str = run_time("data/06_models/checkpoints", description="Folder of the checkpoints.")
    logging_steps: int = run_time(1, ge=1, description="Steps between two recorded losses.")
    empty_cache_steps: int = run_time(
        0, ge=0, description="Steps between two releases of cached memory; 0: never."
    )
    enable_memory_monitoring: bool = run_time(True, description="Record memory over time and report leaks.")
    enable_memory_profiling: bool = run_time(
        False, description="Write a memory snapshot and a picture of it."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = run_time(
        "INFO", description="Log level of this system, transformers and datasets."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bf16 and self.fp16:
            raise ValueError("bf16=true and fp16=true exclude each other; set one of them to false")
        if self.init_lora_weights not in (True, "gaussian"):
            raise ValueError(_why_no_such_start(self.init_lora_weights))
        require_scheduler_options(self.lr_scheduler_type, self.lr_scheduler_kwargs)
        if self.num_processes > self.examples_per_step:
            raise ValueError(
                f"num_processes={self.num_processes} needs as many rows in a step, and a step has {self.examples_per_step}; set "
                f"num_processes={self.examples_per_step} or a larger gradient_accumulation_steps"
            )
        if self.dataloader_prefetch_factor is not None and not self.dataloader_num_workers:
            raise ValueError("dataloader_prefetch_factor needs dataloader_num_workers of 1 or more")
        if self.eval_strategy == "no":
            for name in ("early_stopping_patience", "load_best_model_at_end"):
                if getattr(self, name):
                    raise ValueError(f"{name} needs validations; set eval_strategy=epoch")
            if self.save_strategy == "best":
                raise ValueError("save_strategy=best needs validations; set eval_strategy=epoch")
            if self.lr_scheduler_type in VALIDATION_SCHEDULERS:
                raise ValueError(
                    f"lr_scheduler_type={self.lr_scheduler_type} needs validations; set eval_strategy=epoch"
                )
        return self

    @property
    def examples_per_step(self) -> int:
        """Rows of an optimiser step, whatever the hardware."""
        if self.batch_size == "auto":
            return self.effective_batch_size
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def lora_variant(self) -> dict[str, Any]:
        """How the adapters differ from plain LoRA, by the names of ``peft.LoraConfig``."""
        return {
            "use_rslora": self.use_rslora,
            "use_dora": self.use_dora,
            "init_lora_weights": self.init_lora_weights,
        }


def _why_no_such_start(value: bool | str) -> str:
    """Why ``init_lora_weights`` cannot be ``value``, and what to set instead."""
    remedy = "set init_lora_weights=true or gaussian"
    if isinstance(value, str) and value.startswith(("pissa", "olora", "corda", "loftq")):
        return (
            f"init_lora_weights={value} takes a part out of the base's weights; in 4 bits they are rounded anew, and the "
            f"adapter would fit no published base; {remedy}"
        )
    return f"init_lora_weights={value}: not a start that works on 4-bit weights; {remedy}"
