"""What export reads."""

from pydantic import Field, field_validator

from qwen_pipeline.params.evaluate import GenerationConfig
from qwen_pipeline.params.fields import StageParameters, run_time

FORMATS = ("adapter", "merged", "gguf", "ollama")
GGUF_TYPES = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m")


class ExportParameters(StageParameters):
    """What is exported, and how close to the live adapter it has to be."""

    model_name: str = Field(
        "demo", min_length=1, description="The base model: demo, a hub id, or a folder with a model."
    )
    seed: int = Field(
        0, ge=0, description="Seed for drawing the held-out rows on which exports are compared."
    )
    max_memory_gb: float = run_time(8.0, gt=0, description="Hard cap of the process's GPU memory, in GiB.")
    bf16: bool = Field(True, description="Whether training computed in bfloat16.")
    fp16: bool = Field(False, description="Whether training computed in float16.")
    export_formats: str = Field(
        "adapter+merged", description="adapter, merged, gguf and ollama, joined by + (ollama includes gguf)."
    )
    gguf_types: str = Field(
        "f16+q8_0",
        description="f16 and q8_0; with llama-cpp-python also q6_k, q5_k_m and q4_k_m; joined by +.",
    )
    max_sequence_length: int = Field(
        512,
        ge=1,
        le=1_048_576,
        description="Largest number of tokens in a row; Ollama gets a context for it and an answer.",
    )
    export_shard_gb: float = Field(
        2.0, gt=0, le=64, description="Largest size of one file of merged weights, in GiB."
    )
    export_rows: int = run_time(
        16, ge=1, le=1024, description="Number of held-out rows on which each export is compared."
    )
    export_max_mean_kl: float = run_time(
        0.001,
        gt=0,
        le=1,
        description="Largest mean KL divergence of merged and f16 files from the adapter, in nats per token.",
    )
    generation_config: GenerationConfig = Field(
        GenerationConfig(), description="How answers are generated; exported with the model."
    )

    @property
    def formats(self) -> tuple[str, ...]:
        """What is written, in a fixed order."""
        asked = set(self.export_formats.split("+"))
        if "ollama" in asked:
            asked.add("gguf")
        return tuple(name for name in FORMATS if name in asked)

    @property
    def types(self) -> tuple[str, ...]:
        """The GGUF files that are written, the largest first."""
        return tuple(name for name in GGUF_TYPES if name in self.gguf_types.split("+"))

    @field_validator("export_formats", "gguf_types", mode="before")
    @classmethod
    def _join_list(cls, value: object) -> object:
        """A list of YAML means what ``adapter+gguf`` means; anything else is told by the field's type."""
        is_list = isinstance(value, list) and all(isinstance(part, str) for part in value)
        return "+".join(value) if is_list else value  # type: ignore[arg-type]

    @field_validator("export_formats")
    @classmethod
    def _known_formats(cls, value: str) -> str:
        return _require_known(value, FORMATS, "export format")

    @field_validator("gguf_types")
    @classmethod
    def _known_types(cls, value: str) -> str:
        return _require_known(value, GGUF_TYPES, "GGUF type")


def _require_known(value: str, known: tuple[str, ...], what: str) -> str:
    unknown = [part for part in value.split("+") if part not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no {what}; use {'+'.join(known)} or a part of it")
    return value
