"""This project's commands beside Kedro's own; each imports what it needs when it is called."""

import sys
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from qwen_pipeline.errors import PipelineError

RUNNER = "qwen_pipeline.incremental.runner.IncrementalRunner"
FORCE = click.Option(
    ["--force"], default="", help="Run although current: all, or stages joined by + (train+export)."
)
DRY_RUN = click.Option(["--dry-run"], is_flag=True, help="Only say what would run, and why.")
YES = click.Option(["--yes"], is_flag=True, help="Do not ask before a long stage runs again.")


@click.group(name="qwen-pipeline")
def cli() -> None:
    """Fine-tune Qwen3 on question-and-answer files."""


def run(**options: Any) -> Any:
    """Bring a pipeline up to date: only what changed runs again.

    Example: kedro run --pipeline train --params batch_size=1
    """
    added = {"force": options.pop("force"), "dry_run": options.pop("dry_run")}
    options.pop("yes")
    if not options["runner"]:
        options["runner"] = RUNNER
        options["runner_params"] = {**options["runner_params"], **added}
    try:
        return kedro_run.callback(**options)  # type: ignore[misc]
    except Exception as failure:
        if (told := explained_by(failure)) is None:
            raise
        click.secho(str(told), fg="red", err=True)
        sys.exit(1)


def explained_by(failure: BaseException | None) -> PipelineError | None:
    """The user's mistake behind a failure; Kedro wraps what a dataset raises into an error of its own."""
    while failure is not None:
        if isinstance(failure, PipelineError):
            return failure
        failure = failure.__cause__ or failure.__context__
    return None


cli.add_command(
    click.Command("run", params=[*kedro_run.params, FORCE, DRY_RUN, YES], callback=run, help=run.__doc__)
)
