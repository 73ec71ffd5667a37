"""Ingest: raw files to examples."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.ingest.nodes import ingest_files


def create_pipeline() -> Pipeline:
    """Raw files to examples, rejects and an account."""
    outputs = ["ingested_examples", "ingest_rejects", "ingest_report"]
    return Pipeline([node(ingest_files, ["raw_files", "params:ingest"], outputs, name="ingest_files")])
