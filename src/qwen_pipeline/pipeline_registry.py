"""The pipelines by name: each stage together with what it stands on, so that it works on a fresh clone."""

from collections.abc import Callable

from kedro.pipeline import Pipeline

from qwen_pipeline.pipelines import clean, evaluate, export, ingest, tokenize, train

STAGES: dict[str, Callable[[], Pipeline]] = {
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
        so_far += _as_stage(stage, create_pipeline())
        pipelines[stage] = so_far
    return {**pipelines, "__default__": so_far}


def _as_stage(stage: str, pipeline: Pipeline) -> Pipeline:
    """Tag a stage's nodes with its name and fold them into one box of Kedro-Viz.

    The datasets keep their names: they are the contract between the stages.
    """
    return Pipeline(pipeline, tags=stage, namespace=stage, prefix_datasets_with_namespace=False)
