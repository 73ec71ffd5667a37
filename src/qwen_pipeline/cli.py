"""This project's commands beside Kedro's own: its `run` with three options more, and one file of `commands/` each."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import click
from kedro import KedroDeprecationWarning
from kedro.framework.cli.project import run as kedro_run

from qwen_pipeline.commands.accept import accept
from qwen_pipeline.commands.chat import chat
from qwen_pipeline.commands.compare import compare
from qwen_pipeline.commands.doctor import doctor
from qwen_pipeline.commands.memory_plan import memory_plan
from qwen_pipeline.commands.preview import preview
from qwen_pipeline.commands.project import PARAMS_HELP, one_sentence, split_load_versions, split_params
from qwen_pipeline.commands.prune import prune
from qwen_pipeline.commands.status import status
from qwen_pipeline.commands.terminal import stop_on_demand

RUNNER = "qwen_pipeline.incremental.runner.IncrementalRunner"
FORCE = click.Option(
    ["--force"],
    default="",
    is_flag=False,
    flag_value="all",
    metavar="[STAGE]",
    help="Run although nothing changed: everything, or the named stages, joined by +.",
)
DRY_RUN = click.Option(["--dry-run"], is_flag=True, help="Only show what would run, and why.")
YES = click.Option(["--yes"], is_flag=True, help="Do not ask before a long stage runs again.")

HELP = """Fine-tune Qwen3 on question-and-answer files.

Begin with `kedro run`. `kedro status` shows what is current; `kedro doctor` checks the machine."""


@click.group(name="qwen-pipeline", help=HELP)
def cli() -> None:
    """This project's commands."""


@one_sentence
def run(**options: Any) -> Any:
    """Bring a pipeline up to date: only what changed runs again.

    Example: kedro run --pipeline train --params batch_size=1
    """
    warnings.filterwarnings("ignore", message="Option '--pipeline'", category=KedroDeprecationWarning)
    added = {"force": options.pop("force"), "dry_run": options.pop("dry_run"), "yes": options.pop("yes")}
    if not options["runner"]:
        options["runner"] = RUNNER
        options["runner_params"] = {**options["runner_params"], **added}
    elif given := [f"--{name.replace('_', '-')}" for name, value in added.items() if value]:
        raise click.UsageError(f"{given[0]} belongs to the incremental runner; leave --runner out.")
    with stop_on_demand():
        return kedro_run.callback(**options)  # type: ignore[misc]


def _run_options() -> Iterator[click.Parameter]:
    """Kedro's own options of `run`; those it splits itself tell a mistake with its remedy."""
    told = {"params": split_params, "load_versions": split_load_versions}
    for option in kedro_run.params:
        mine = copy.copy(option)
        mine.callback = told.get(str(option.name), option.callback)
        if option.name == "params":
            mine.help = PARAMS_HELP  # Kedro's also names a colon, which it no longer takes
        yield mine


cli.add_command(
    click.Command("run", params=[*_run_options(), FORCE, DRY_RUN, YES], callback=run, help=run.__doc__)
)
for command in (accept, chat, compare, doctor, memory_plan, preview, prune, status):
    cli.add_command(command)
