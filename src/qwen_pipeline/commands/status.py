"""`kedro status`: which stages are current, which are not, and why."""

import json
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, with_parameters


@click.command()
@with_parameters
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@one_sentence
def status(env: str | None, params: dict[str, Any], as_json: bool) -> None:
    """Show each node, current or stale, with the reason.

    Example: kedro status --params learning_rate=1e-4
    """
    from pathlib import Path

    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession

    from qwen_pipeline.incremental.runner import IncrementalRunner

    with KedroSession.create(Path.cwd(), env=env, runtime_params=params) as session:
        context: Any = session.load_context()  # type: ignore[attr-defined]
        rows = IncrementalRunner().status(pipelines["__default__"], context.catalog)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        state = click.style(f"{row['state']:8}", fg="green" if row["state"] == "current" else "yellow")
        click.echo(f"{state} {row['node']:28} {row['reason'] or row['finished']}")
