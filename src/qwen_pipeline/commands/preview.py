"""`kedro preview`: rows as the model will see them, trained tokens in colour."""

from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters


@click.command()
@with_parameters
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="train", show_default=True
)
@click.option("--rows", default=3, show_default=True, help="How many rows.")
@one_sentence
def preview(env: str | None, params: dict[str, Any], split: str, rows: int) -> None:
    """Bring `tokenize` up to date and show its rows: what is coloured gets a loss, the rest is context.

    Example: kedro preview --split test --rows 2
    """
    from pathlib import Path

    from kedro.framework.session import KedroSession
    from rich.console import Console

    from qwen_pipeline.chat.preview import preview_rows
    from qwen_pipeline.incremental.runner import IncrementalRunner
    from qwen_pipeline.model.load import load_tokenizer
    from qwen_pipeline.model.source import ModelSource

    _, groups = read_groups(env, params)
    session: Any
    with KedroSession.create(Path.cwd(), env=env, runtime_params=params) as session:
        session.run(pipeline_names=["tokenize"], runner=IncrementalRunner())
    with KedroSession.create(Path.cwd(), env=env, runtime_params=params) as session:
        tokenized = session.load_context().catalog.load(f"tokenized_{split}")
    settings = groups["tokenize"]
    tokenizer = load_tokenizer(ModelSource(settings["model_name"]), **settings["tokenizer_kwargs"])
    console = Console(soft_wrap=True, highlight=False)
    console.print("Trained tokens are green; the rest is context without loss.", style="bold")
    for text in preview_rows(tokenizer, tokenized, rows):
        console.print(text)
