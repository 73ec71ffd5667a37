"""What evaluate reads."""

from pydantic import Field

from qwen_pipeline.params.fields import StageParameters, run_time


class GenerationConfig(StageParameters):
    """How answers are generated; the names are those of transformers."""

    max_new_tokens: int = Field(64, ge=1, le=32_768, description="Largest number of tokens of an answer.")
    do_sample: bool = Field(False, description="Sample instead of always taking the most likely token.")
    temperature: float = Field(
        1.0, gt=0, le=10, description="Temperature of the sampling; lower is less random."
    )
    top_p: float = Field(
        1.0, gt=0, le=1, description="Sample from the most likely tokens that together have this probability."
    )
    top_k: int = Field(50, ge=0, description="Sample from this number of most likely tokens; 0: from all.")
    repetition_penalty: float = Field(
        1.0, ge=0.5, le=10, description="Values above 1 make repetition less likely."
    )


class EvaluateParameters(StageParameters):
    """What is measured on the test split."""

    model_name: str = Field(
        "demo", min_length=1, description="The base model: demo, a hub id, or a folder with a model."
    )
    seed: int = Field(0, ge=0, description="Seed for drawing the questions and for sampled answers.")
    max_memory_gb: float = run_time(
        8.0, gt=0, description="Hard cap of the process's GPU memory, in GiB; for kedro chat too."
    )
    evaluation_questions: int = Field(
        64, ge=0, description="Number of test questions that are answered; 0: measure likelihood only."
    )
    general_questions: int = Field(
        8, ge=0, le=24, description="Number of general questions, to see whether the model forgets; 0: none."
    )
    evaluation_batch_size: int = Field(
        16, ge=1, description="Number of questions that are answered at a time."
    )
    generation_config: GenerationConfig = Field(GenerationConfig(), description="How answers are generated.")
