"""The help of the commands: what a list shows of each, an example, and words that hold here."""

import tomllib
from pathlib import Path

import click
import pytest

from qwen_pipeline.cli import cli

LISTED = 60  # characters that a list of commands has for each on a terminal of 80 columns


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_a_command_says_in_a_line_what_it_does_and_gives_an_example(name: str) -> None:
    command = cli.commands[name]
    assert not command.get_short_help_str(LISTED).endswith("...")
    assert f"Example: kedro {name}" in str(command.help)


def test_params_are_told_alike_by_all_commands() -> None:
    told = {
        option.help
        for command in cli.commands.values()
        for option in command.params
        if isinstance(option, click.Option) and option.name == "params"
    }
    assert told == {"NAME=VALUE, joined by commas."}


def test_the_group_is_not_registered_a_second_time(project_dir: Path) -> None:
    """Kedro finds it in the package; as an entry point too, its text stands twice in `kedro --help`."""
    project = tomllib.loads((project_dir / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "kedro.project_commands" not in project.get("entry-points", {})


def test_the_list_of_commands_says_where_to_begin() -> None:
    assert "kedro run" in str(cli.help)
