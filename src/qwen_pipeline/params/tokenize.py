"""Parameters of the tokenize stage: which model's tokenizer and template, and what is trained."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from qwen_pipeline.params.fields import StageParameters, run_time


class TokenizerKwargs(BaseModel):
    """What the tokenizer is loaded with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    padding_side: Literal["left", "right"] = Field(
        "left", description="Side of the padding if answers are generated in batches."
    )
    truncation_side: Literal["left", "right"] = Field(
        "left", description="Which end of a user's text is cut if a prompt is too long."
    )
    pad_token: str | None = Field(None, description="The token to pad with; None: chosen automatically.")


class TokenizeParameters(StageParameters):
    """From clean examples to rows of token ids with labels."""

    model_name: str = Field(
        "demo",
        min_length=1,
        description="The base model: demo, a hub id (owner/name), or a folder with a model.",
    )
    model_revision: str | None = Field(None, description="Branch, tag or commit on the hub.")
    max_sequence_length: int = Field(
        512, ge=1, le=1_048_576, description="Largest number of tokens in a row."
    )
    thinking: Literal["empty", "masked", "refuse"] = Field(
        "empty",
        description=(
            "Answers without reasoning: train an empty thinking block, give it as context without loss, "
            "or reject the row."
        ),
    )
    train_on_turns: Literal["all", "last"] = Field(
        "all",
        description="Which answers of a conversation are trained: all, each as a row of its own, or only the last.",
    )
    answer_overflow: Literal["reject", "cut"] = Field(
        "reject", description="An answer that does not fit into max_sequence_length: reject it, or cut it."
    )
    tokenizer_kwargs: TokenizerKwargs = Field(TokenizerKwargs(), description="Settings of the tokenizer.")
    tokenize_workers: int | None = run_time(
        None,
        ge=1,
        le=64,
        description="Number of processes that tokenize examples; None: one per core, or as many as memory is left for.",
    )
