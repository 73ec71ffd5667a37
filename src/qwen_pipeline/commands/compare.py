"""`kedro compare RUN RUN`: what differs between two trainings."""

import json
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters


@click.command()
@with_parameters
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@one_sentence
def compare(env: str | None, params: dict[str, Any], first: str, second: str, as_json: bool) -> None:
    """Show what differs between two trainings.

    Parameters, data and results are compared. A run is its MLflow id (four characters are enough), its name, latest, or latest~1 for the one before.

    Example: kedro compare latest~1 latest
    """
    from qwen_pipeline.tracking.compare import compare_runs

    read_groups(env, params)  # nothing here depends on them, and a mistake is told as everywhere
    comparison = compare_runs(first, second)
    if as_json:
        click.echo(json.dumps(comparison, ensure_ascii=False, indent=2))
    else:
        _show(comparison)


def _show(comparison: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    names = [f"{run['id'][:8]} {run['status'].lower()}" for run in comparison["runs"]]
    console = Console()
    for part in ("parameters", "data", "results"):
        table = Table(Column(part, overflow="fold"), *names, title=None)
        for name, values in comparison[part].items():
            table.add_row(name, *map(_shown, values))
        console.print(table if comparison[part] else f"{part}: no difference")


def _shown(value: Any) -> str:
    """A value as people read it: a figure with five digits, so that the names beside it have room."""
    if value is None:
        return "—"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
