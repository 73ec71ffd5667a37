"""The pipelines by name: each stage together with what it stands on, so that it works on a fresh clone."""

from kedro.pipeline import Pipeline

from qwen_pipeline.pipelines import clean, evaluate, export, ingest, tokenize, train

STAGES = {
    "ingest": ingest.create_pipeline,
    "clean": clean.create_pipeline,
    "tokenize": tokenize.create_pipeline,
    "train": train.create_pipeline,
    "evaluate": evaluate.create_pipeline,
    "export": export.create_pipeline,
}


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage's pipeline with all stages before it, and ``__default__`` with all six."""
    pipelines: dict[str, Pipeline] = {}
    so_far = Pipeline([])
    for stage, create_pipeline in STAGES.items():
        so_far += create_pipeline()
        pipelines[stage] = so_far
    return {**pipelines, "__default__": so_far}
