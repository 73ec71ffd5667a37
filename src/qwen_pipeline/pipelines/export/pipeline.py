"""Export: what is shipped, compared with what was measured."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.export.nodes import export_model


def create_pipeline() -> Pipeline:
    """Adapter and base to the shipped folders and a report."""
    inputs = [
        "adapter", "base_model", "clean_examples", "tokenized_test", "tokenized_validation", "tokenized_train",
        "data_report", "train_report", "evaluation_report", "params:export", "params:train",
    ]  # fmt: skip
    return Pipeline([node(export_model, inputs, ["exported_model", "export_report"], name="export_model")])
