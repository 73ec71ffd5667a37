"""What evaluate reads."""

from pydantic import Field

from qwen_pipeline.params.fields import StageParameters, run_time


class GenerationConfig(StageParameters):
    """How answers are generated; the names are those of transformers."""

    max_new_tokens: int = Field(64, ge=1, le=32_768, description="Tokens an answer may have.")
    do_sample: bool = Field(False, description="Sample instead of taking the likeliest token.")
    temperature: float = Field(1.0, gt=0, le=10, description="Sharpness of the sampling.")
    top_p: float = Field(1.0, gt=0, le=1, description="Probability mass that is sampled from.")
    top_k: int = Field(50, ge=0, description="Tokens that are sampled from; 0 for all.")
    repetition_penalty: float = Field(1.0, ge=0.5, le=10, description="Above 1 makes repetition less likely.")


class EvaluateParameters(StageParameters):
    """What is measured on the test split."""

    model_name: str = Field("demo", min_length=1, description="demo, a hub id, or a folder with a model.")
    seed: int = Field(0, ge=0, description="Seed of the sample and of the generation.")
    max_memory_gb: float = run_time(
        8.0, gt=0, description="Hard cap of the process's GPU memory, in GiB; chat keeps to it too."
    )
    evaluation_questions: int = Field(64, ge=0, description="Questions that are answered, drawn from test.")
    general_questions: int = Field(
        8, ge=0, le=24, description="General questions that show whether the model forgets; 0 for none."
    )
    evaluation_batch_size: int = Field(16, ge=1, description="Questions that are answered at a time.")
    generation_config: GenerationConfig = Field(GenerationConfig(), description="How answers are generated.")
