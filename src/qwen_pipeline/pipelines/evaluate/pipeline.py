"""Evaluate: base and tuned side by side on held-out rows."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.evaluate.nodes import evaluate_base, evaluate_tuned, write_page


def create_pipeline() -> Pipeline:
    """Held-out rows, base and adapter to reports, predictions and a page."""
    rows = ["clean_examples", "tokenized_test", "tokenized_validation", "base_model"]
    return Pipeline(
        [
            node(evaluate_base, [*rows, "params:evaluate"], "base_evaluation", name="evaluate_base"),
            node(
                evaluate_tuned,
                [*rows, "adapter", "base_evaluation", "train_report", "params:evaluate"],
                ["evaluation_report", "predictions"],
                name="evaluate_tuned",
            ),
            node(
                write_page,
                ["evaluation_report", "predictions", "train_report"],
                "evaluation_page",
                name="write_page",
            ),
        ]
    )
