"""Tokenize: clean examples to rows of token ids with labels."""

from kedro.pipeline import Pipeline, node

from qwen_pipeline.pipelines.tokenize.nodes import draw_token_page, tokenize_examples


def create_pipeline() -> Pipeline:
    """Every example is encoded once, into the rows of its split or into the rejects; then a page is drawn."""
    outputs = [
        "tokenized_train", "tokenized_validation", "tokenized_test", "tokenize_rejects", "tokenize_report",
    ]  # fmt: skip
    return Pipeline(
        [
            node(
                tokenize_examples,
                ["clean_examples", "base_model", "params:tokenize"],
                outputs,
                name="tokenize_examples",
            ),
            node(draw_token_page, "tokenize_report", "token_page", name="draw_token_page"),
        ]
    )
