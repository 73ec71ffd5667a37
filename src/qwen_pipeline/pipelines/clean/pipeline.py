"""Clean: examples to clean examples with their account."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.clean.nodes import clean_examples, draw_data_page


def create_pipeline() -> Pipeline:
    """Examples to clean examples with their account, and a page."""
    inputs = ["ingested_examples", "ingest_rejects", "ingest_report", "params:clean"]
    outputs = ["clean_examples", "clean_rejects", "clean_duplicates", "data_report"]
    return Pipeline(
        [
            node(clean_examples, inputs, outputs, name="clean_examples"),
            node(draw_data_page, ["clean_examples", "data_report"], "data_page", name="draw_data_page"),
        ]
    )
