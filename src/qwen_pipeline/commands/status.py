"""`kedro status`: which stages are current, which are not, and why."""

import json
from dataclasses import asdict
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, with_parameters
from qwen_pipeline.params.groups import GROUPS

COLOURS = {"current": "green", "stale": "yellow"}


@click.command()
@with_parameters
@click.option(
    "--verify",
    is_flag=True,
    help="Read every byte of every output instead of comparing size, time and inode.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one row per node as JSON.")
@one_sentence
def status(env: str | None, params: dict[str, Any], verify: bool, as_json: bool) -> None:
    """Show each stage and node, current or stale, with the reason.

    Example: kedro status --params learning_rate=1e-4
    """
    rows, holder = read_status(env, params, verify)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if holder is not None:
        click.echo(f"A run is at work: process {holder.get('pid')}, since {holder.get('since')}.")
    stages = [*GROUPS, *(row["stage"] for row in rows)]
    for stage in dict.fromkeys(stages):
        if of_stage := [row for row in rows if row["stage"] == stage]:
            _show_stage(stage, of_stage)


def read_status(
    env: str | None, params: dict[str, Any], verify: bool = False
) -> tuple[list[dict[str, Any]], dict[str, str] | None]:
    """The state of every node, and who is running now.

    Returns:
        One row a node, in the order of the pipeline, and the holder of the project's lock.
    """
    from kedro.framework.project import pipelines

    from qwen_pipeline.commands.catalog import open_catalog
    from qwen_pipeline.incremental.lock import holder_of
    from qwen_pipeline.incremental.plan import stage_of
    from qwen_pipeline.incremental.runner import IncrementalRunner
    from qwen_pipeline.incremental.workspace import ledger_folder

    runner = IncrementalRunner()
    nodes = pipelines["__default__"].nodes
    decisions = runner.plan(open_catalog(env, params), verify).foresee(nodes)
    runner.remember()
    stages = {node.name: stage_of(node) for node in nodes}
    return [_row(stages[one.node], one) for one in decisions], holder_of(ledger_folder() / "lock")


def _row(stage: str, decision: Any) -> dict[str, Any]:
    record = decision.record
    return {
        "stage": stage,
        "node": decision.node,
        "state": "current" if decision.action == "current" else "stale",
        "next": {"current": "skip", "take back": "take back"}.get(
            decision.action, "run" if decision.certain else "may run"
        ),
        "reason": decision.reason or None,
        "changes": [asdict(change) for change in decision.changes],
        "version": record.version if record else None,
        "finished": record.finished if record else None,
        "seconds": record.seconds if record else None,
        "mlflow_run_id": record.mlflow_run_id if record else None,
        "outputs": {name: asdict(output) for name, output in record.outputs.items()} if record else {},
    }


def _show_stage(stage: str, rows: list[dict[str, Any]]) -> None:
    state = "current" if all(row["state"] == "current" for row in rows) else "stale"
    click.echo(click.style(f"{stage:10}{state}", fg=COLOURS[state], bold=True))
    for row in rows:
        name = row["node"].partition(".")[2] or row["node"]
        made = f"made {row['finished']}" if row["finished"] else "never made"
        tracked = f", MLflow run {row['mlflow_run_id'][:8]}" if row["mlflow_run_id"] else ""
        version = f", version {row['version']}" if row["version"] else ""
        click.echo(
            f"  {click.style(row['state'], fg=COLOURS[row['state']]):16} {name:20} {made}{version}{tracked}"
        )
        if row["reason"]:
            told = {"may run": "may run", "take back": "an equal version is there"}.get(
                row["next"], "would run"
            )
            click.echo(f"{'':10}{told}: {row['reason']}")
