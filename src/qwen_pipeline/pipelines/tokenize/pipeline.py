"""The tokenize stage: clean examples to rows of token ids with labels."""

from kedro.pipeline import Node, Pipeline

from qwen_pipeline.pipelines.tokenize.nodes import draw_token_page, tokenize_examples


def create_pipeline() -> Pipeline:
    """Every example is encoded once, into the rows of its split or into the rejects; then a page is drawn."""
    return Pipeline(
        [
            Node(
                tokenize_examples,
                inputs={
                    "clean_examples": "clean_examples",
                    "base_model": "base_model",
                    "parameters": "params:tokenize",
                },
                outputs=[
                    "tokenized_train",
                    "tokenized_validation",
                    "tokenized_test",
                    "tokenize_rejects",
                    "tokenize_report",
                ],
                name="tokenize_examples",
                tags="tokenize",
            ),
            Node(
                draw_token_page,
                inputs="tokenize_report",
                outputs="token_page",
                name="draw_token_page",
                tags="tokenize",
            ),
        ]
    )
