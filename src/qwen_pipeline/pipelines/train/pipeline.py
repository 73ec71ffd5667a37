"""Train: tokenized rows to an adapter."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.train.nodes import train_adapter


def create_pipeline() -> Pipeline:
    """Tokenized rows and base model to adapter and report."""
    inputs = ["tokenized_train", "tokenized_validation", "base_model", "params:train"]
    return Pipeline([node(train_adapter, inputs, ["adapter", "train_report"], name="train_adapter")])
