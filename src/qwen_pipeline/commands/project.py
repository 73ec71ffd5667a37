"""What every command of this project needs: its root, its parameters, and errors in one sentence."""

import functools
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from kedro.framework.cli.utils import KedroCliError, _split_load_versions, _split_params, env_option
from kedro.framework.startup import bootstrap_project
from yaml import YAMLError

from qwen_pipeline.commands.failures import explained_by
from qwen_pipeline.commands.terminal import prepare_terminal
from qwen_pipeline.incremental.workspace import project_root

PARAMS_HELP = "NAME=VALUE, joined by commas."
Function = TypeVar("Function", bound=Callable[..., Any])


def split_params(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """The values of ``--params``, by Kedro's own reading of them.

    Raises:
        click.UsageError: It cannot be read; with how names, lists and commas are written.
    """
    try:
        return _split_params(ctx, param, value)
    except (click.UsageError, YAMLError) as failure:
        raise click.UsageError(
            f"--params {value}: write NAME=VALUE, joined by commas. A list is written a+b; a value with a comma or a mark "
            "of YAML goes into conf/local/parameters.yml, in quotes.",
            ctx,
        ) from failure


def split_load_versions(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, str]:
    """The versions of ``--load-versions``.

    Source: the ``KedroCliError`` of Kedro 1.7 shows ``NoneType: None`` instead of its message where an option is
    read. Can go when it shows it.

    Raises:
        click.UsageError: A part is not ``DATASET:VERSION``.
    """
    try:
        return _split_load_versions(ctx, param, value)
    except KedroCliError as failure:
        raise click.UsageError(f"{failure.message}.", ctx) from None


def with_parameters(function: Function) -> Function:
    """Add ``--env`` and ``--params``, as Kedro's own commands have them."""
    params = click.option(
        "--params",
        type=click.UNPROCESSED,
        default="",
        callback=split_params,
        help=PARAMS_HELP,
    )
    decorated: Function = env_option(params(function))
    return decorated


def read_groups(env: str | None, params: dict[str, Any]) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The project's root and its validated parameters, by stage.

    Args:
        env: The run environment; ``conf/local`` where none is named.
        params: Run-time values.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type or out of its range.
    """
    from kedro.framework.project import settings

    root = project_root()
    bootstrap_project(root)
    options: dict[str, Any] = dict(settings.CONFIG_LOADER_ARGS)
    loader = settings.CONFIG_LOADER_CLASS(str(root / "conf"), env=env, runtime_params=params, **options)
    groups: dict[str, dict[str, Any]] = loader["parameters"]
    return root, groups


def one_sentence(function: Function) -> Function:
    """Tell what a person can put right in one message, without a traceback, and exit with 1.

    With ``log_level=DEBUG`` the original comes before the message.
    """

    @functools.wraps(function)
    def told(*arguments: Any, **options: Any) -> Any:
        prepare_terminal()
        try:
            return function(*arguments, **options)
        except Exception as failure:
            if (mistake := explained_by(failure)) is None:
                raise
            if logging.getLogger("qwen_pipeline").isEnabledFor(logging.DEBUG):
                traceback.print_exception(failure)
            click.secho(str(mistake), fg="red", err=True)
            sys.exit(1)

    return told  # type: ignore[return-value]
