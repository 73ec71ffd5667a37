"""`kedro preview`: rows as the model sees them, the trained tokens in colour."""

import json
from itertools import islice
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters
from qwen_pipeline.errors import ParameterError
from qwen_pipeline.text.split import SPLITS


@click.command()
@with_parameters
@click.option(
    "--split", type=click.Choice(SPLITS), default="train", show_default=True, help="Which split to show."
)
@click.option(
    "--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many rows to show."
)
@click.option("--example", metavar="ID", help="Only the rows of this example_id (its beginning is enough).")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the rows as JSON, each as stretches of trained and untrained tokens.",
)
@one_sentence
def preview(
    env: str | None, params: dict[str, Any], split: str, rows: int, example: str | None, as_json: bool
) -> None:
    """Show tokenized rows with the trained tokens in green.

    Example: kedro preview --split train --rows 2
    """
    from qwen_pipeline.chat.preview import preview_rows
    from qwen_pipeline.commands.stage_outputs import load_outputs, stale_reason
    from qwen_pipeline.model.tokenizer import load_tokenizer

    name = f"tokenized_{split}"
    _, groups = read_groups(env, params)
    source, table = load_outputs(env, params, ("base_model", name))
    reason = stale_reason(env, params, name)
    if reason:
        click.secho(
            f"{name} is from an earlier run ({reason}); kedro run --pipeline tokenize", fg="yellow", err=True
        )
    tokenizer = load_tokenizer(source, **groups["tokenize"]["tokenizer_kwargs"])
    chosen = _chosen(table, example, rows)
    if as_json:
        click.echo(json.dumps([_as_runs(tokenizer, row) for row in chosen], ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for text in preview_rows(tokenizer, chosen, rows):
        console.print(text, soft_wrap=True)


def _chosen(table: Any, example: str | None, count: int) -> list[dict[str, Any]]:
    """The first rows of the table, or of one example.

    Raises:
        ParameterError: No row has that id.
    """
    matching = (dict(row) for row in table if example is None or row["example_id"].startswith(example))
    chosen = list(islice(matching, count))
    if example is not None and not chosen:
        raise ParameterError(
            f"--example {example}: no row of this split has such an example_id; "
            f"the first is {table[0]['example_id']}."
            if len(table)
            else "This split is empty."
        )
    return chosen


def _as_runs(tokenizer: Any, row: dict[str, Any]) -> dict[str, Any]:
    from qwen_pipeline.chat.preview import TRAINED_STYLE, render_row

    text = render_row(tokenizer, row["input_ids"], row["labels"])
    runs = [
        {"text": text.plain[span.start : span.end], "trained": str(span.style) == TRAINED_STYLE}
        for span in text.spans
    ]
    return {"example_id": row["example_id"], "tokens": len(row["input_ids"]), "runs": runs}
