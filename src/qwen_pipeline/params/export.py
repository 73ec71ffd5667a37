"""What export reads."""

from pydantic import Field, field_validator

from qwen_pipeline.params.evaluate import GenerationConfig
from qwen_pipeline.params.fields import StageParameters

FORMATS = ("adapter", "merged")


class ExportParameters(StageParameters):
    """What is shipped."""

    model_name: str = Field("demo", min_length=1, description="demo, a hub id, or a folder with a model.")
    export_formats: str = Field("adapter+merged", description="adapter, merged, joined by +.")
    generation_config: GenerationConfig = Field(GenerationConfig(), description="Shipped with the model.")

    @field_validator("export_formats")
    @classmethod
    def _known(cls, value: str) -> str:
        unknown = [part for part in value.split("+") if part not in FORMATS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no export format; use {'+'.join(FORMATS)} or a part of it")
        return value
