"""`kedro prune`: remove old versions that nothing refers to."""

import json
import os
import sys
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, with_parameters

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@click.command()
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    required=True,
    help="How many of the newest versions of each node to keep.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what is removed as JSON; does not ask.")
@with_parameters
@one_sentence
def prune(
    keep: int, dry_run: bool, yes: bool, as_json: bool, env: str | None, params: dict[str, Any]
) -> None:
    """Remove old versions.

    A version stays if a kept version was made from it, or if the latest MLflow run refers to it. The command first shows what
    it will remove; in a terminal it then asks.

    Example: kedro prune --keep 2 --dry-run
    """
    from qwen_pipeline.commands.catalog import open_catalog
    from qwen_pipeline.incremental.ledger import Ledger
    from qwen_pipeline.incremental.lock import project_lock
    from qwen_pipeline.incremental.prune import plan_prune
    from qwen_pipeline.incremental.prune import prune as remove
    from qwen_pipeline.incremental.workspace import ledger_folder
    from qwen_pipeline.tracking.latest import latest_run_id

    catalog = open_catalog(env, params)
    names = (name for name in catalog if not name.startswith("params:"))
    datasets = {name: catalog[name] for name in names if hasattr(catalog[name], "versions_folder")}
    ledger, latest = Ledger(ledger_folder()), latest_run_id()
    with project_lock(ledger_folder() / "lock"):
        ledger.recover()
        plan = plan_prune(ledger, datasets, keep, {latest} if latest else ())
        _show(plan, as_json)
        if dry_run or not plan.removals:
            return
        if not (yes or as_json) and sys.stdin.isatty() and not click.confirm("Remove them?"):
            return
        remove(plan, ledger)
    if not as_json:
        click.echo(f"{readable(plan.freed)} freed.")


def readable(size: float) -> str:
    """Bytes as people read them."""
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"


def _show(plan: Any, as_json: bool) -> None:
    if as_json:
        rows = [{"dataset": one.dataset, "version": one.version, "bytes": one.size} for one in plan.removals]
        click.echo(json.dumps({"removals": rows, "freed_bytes": plan.freed}, indent=2))
        return
    for one in plan.removals:
        click.echo(
            f"{one.dataset:24} {one.version:28} {readable(one.size):>12}  {os.path.relpath(one.folder)}"
        )
    count = len(plan.removals)
    click.echo(f"{count} old version{'' if count == 1 else 's'}, {readable(plan.freed)} to free.")
