"""The ingest stage."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.ingest.nodes import ingest_files


def create_pipeline() -> Pipeline:
    """Raw files to examples."""
    return Pipeline(
        [
            node(
                ingest_files,
                inputs=["raw_files", "params:ingest"],
                outputs=["ingested_examples", "ingest_rejects", "ingest_report"],
                name="ingest_files",
                tags="ingest",
            )
        ]
    )
