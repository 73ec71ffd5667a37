"""The clean stage."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.clean.nodes import clean_examples, draw_data_page


def create_pipeline() -> Pipeline:
    """Examples to clean examples with their account."""
    return Pipeline(
        [
            node(
                clean_examples,
                inputs=["ingested_examples", "ingest_rejects", "ingest_report", "params:clean"],
                outputs=["clean_examples", "clean_rejects", "clean_duplicates", "data_report"],
                name="clean_examples",
                tags="clean",
            ),
            node(
                draw_data_page,
                inputs=["clean_examples", "data_report"],
                outputs="data_page",
                name="draw_data_page",
                tags="clean",
            ),
        ]
    )
