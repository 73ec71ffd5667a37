"""What train reads; the names are the guide's."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from qwen_pipeline.params.fields import StageParameters, run_time

SchedulerName = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
    "inverse_sqrt", "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
]  # fmt: skip


class TrainParameters(StageParameters):
    """How the adapter is trained."""

    model_name: str = Field("demo", min_length=1, description="demo, a hub id, or a folder with a model.")
    seed: int = Field(0, ge=0, description="Seed of the adapters, the order of the rows and the dropout.")
    num_epochs: float = Field(3, gt=0, le=1000, description="Passes over the training rows.")
    batch_size: int = Field(4, ge=1, le=4096, description="Rows of a micro-batch.")
    gradient_accumulation_steps: int = Field(
        4, ge=1, le=4096, description="Micro-batches of an optimiser step."
    )
    max_sequence_length: int = Field(512, ge=8, le=262_144, description="Tokens a row may have.")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="Peak learning rate.")
    lr_scheduler_type: SchedulerName = Field("cosine", description="Any scheduler of transformers.")
    lr_scheduler_kwargs: dict[str, Any] = Field(default_factory=dict, description="Options of the scheduler.")
    warmup_ratio: float = Field(0.03, ge=0, le=1, description="Share of the steps that warms up.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the adapters.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    optim: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = Field(
        "adamw_torch", description="Optimiser."
    )
    bf16: bool = Field(True, description="Compute in bfloat16.")
    fp16: bool = Field(False, description="Compute in float16 with loss scaling, for cards without bfloat16.")
    lora_r: int = Field(16, ge=1, le=1024, description="Rank of the adapters.")
    lora_alpha: float = Field(32, gt=0, description="Scale of the adapters.")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapters.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations instead of keeping them.")
    max_memory_gb: float = run_time(8.0, gt=0, description="Hard cap of the GPU memory, in GiB.")
    logging_steps: int = run_time(1, ge=1, description="Steps between two recorded losses.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = run_time(
        "INFO", description="Log level."
    )

    @model_validator(mode="after")
    def _one_precision(self) -> Self:
        if self.bf16 and self.fp16:
            raise ValueError("bf16 and fp16 exclude each other; set one of them to false")
        return self
