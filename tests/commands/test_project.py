"""What a command does when something fails; the sentences themselves are tested in test_failures.py."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from qwen_pipeline.cli import cli
from qwen_pipeline.commands.project import one_sentence, read_groups
from qwen_pipeline.errors import DataError


def test_a_bug_keeps_its_traceback() -> None:
    bug = KeyError("ours")

    @one_sentence
    def fail() -> None:
        raise bug

    with pytest.raises(KeyError):
        fail()


def test_a_mistake_ends_the_command_with_one_line_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    @one_sentence
    def fail() -> None:
        raise DataError("one sentence")

    with pytest.raises(SystemExit) as stop:
        fail()
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip() == "one sentence"


def test_at_debug_the_original_comes_before_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    @one_sentence
    def fail() -> None:
        try:
            raise OSError("as the library said it")
        except OSError as failure:
            raise DataError("one sentence") from failure

    logger = logging.getLogger("qwen_pipeline")
    before = logger.level
    logger.setLevel("DEBUG")
    try:
        with pytest.raises(SystemExit):
            fail()
    finally:
        logger.setLevel(before)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "as the library said it" in told
    assert told.strip().splitlines()[-1] == "one sentence"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--params", "batch_size:1", "write NAME=VALUE, joined by commas"),
        ("--params", "gguf_types=[f16,q8_0]", "A list is written a+b"),
        ("--params", "data_dir=@home", "in quotes"),
        ("--load-versions", "clean_examples", "Expected the form of 'load_versions'"),
    ],
)
def test_an_option_that_cannot_be_read_is_told_with_how_it_is_written(
    option: str, value: str, told: str
) -> None:
    shown = CliRunner().invoke(cli, ["run", option, value])
    assert shown.exit_code == 2
    assert told in shown.output
    assert "NoneType" not in shown.output


def test_parameters_are_the_projects_in_any_of_its_folders(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_dir / "notebooks")
    root, groups = read_groups(None, {"batch_size": 3})
    assert root == project_dir
    assert groups["train"]["batch_size"] == 3
