"""The guide's command line: every parameter as a flag, handed to `kedro run`.

    python main.py --batch-size 1 --max-sequence-length 128

The flags are made from the parameter models; there is no second list of them. `--config FILE` takes the
guide's JSON snippets (flat names and values).
"""

import argparse
import difflib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

import yaml

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

from qwen_pipeline.commands.terminal import prepare_terminal  # noqa: E402
from qwen_pipeline.params.foreign_names import name_here, remedy_for_foreign  # noqa: E402
from qwen_pipeline.params.groups import GROUPS, groups_with, parameter_names  # noqa: E402
from qwen_pipeline.params.ingest import guide_data_dir  # noqa: E402


class OneLineParser(argparse.ArgumentParser):
    """A mistake is one line; argparse prints all hundred flags above it."""

    def error(self, message: str) -> NoReturn:
        """End with the message and where to see the flags."""
        self.exit(2, f"{message}. python main.py --help shows all flags.\n")


def build_parser() -> argparse.ArgumentParser:
    """One flag a parameter, with its description, and the few of `kedro run` that people need here."""
    parser = OneLineParser(
        "main.py",
        usage="main.py [--pipeline STAGE] [--env ENV] [--config FILE] [--yes] [--NAME VALUE ...]",
        description="Fine-tune Qwen3 on question-and-answer files.",
        epilog="Example: python main.py --batch-size 1 --max-sequence-length 128. Defaults and allowed values: docs/parameters.md.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--pipeline", metavar="STAGE", default=None, help="a stage and all before it (default: all six)"
    )
    parser.add_argument(
        "--env", default=None, help="configuration environment (a folder of conf/), as in --env qwen3_4b"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=None,
        help="JSON file of parameters, with the names below",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before a long stage runs again")
    for name in parameter_names():
        field = GROUPS[groups_with(name)[0]].model_fields[name]
        options: dict[str, Any] = {
            "default": argparse.SUPPRESS,
            "metavar": "VALUE",
            "type": _reader(field.annotation),
        }
        if _takes_true(field.annotation):
            options |= {"nargs": "?", "const": True}
        text = (field.description or "").replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=text, **options)
    return parser


def _reader(annotation: Any) -> Callable[[str], Any]:
    """How a flag's value is read: as YAML, but text as it was typed (``2024_01`` is a folder, not a number)."""
    if annotation == str | None:
        return _read_optional_text
    return str if annotation is str or _is_choice_of_words(annotation) else _read_yaml


def _is_choice_of_words(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and all(isinstance(one, str) for one in get_args(annotation))


def _read_optional_text(text: str) -> str | None:
    return None if text in ("", "null", "~") else text


def _read_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as failure:
        told = getattr(failure, "problem", None) or "it cannot be read"
        raise argparse.ArgumentTypeError(f"{text} is no value in YAML: {told}") from failure


def _takes_true(annotation: Any) -> bool:
    """Whether a bare flag means ``true``: the field is a bool, or may be one."""
    return annotation is bool or bool in getattr(annotation, "__args__", ())


def read_parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Parameters of `--config` with the flags above them, in the guide's flat names."""
    parameters: dict[str, Any] = {}
    if arguments.config is not None:
        try:
            parameters = json.loads(arguments.config.read_text(encoding="utf-8-sig"))
        except OSError as failure:
            raise _refuse(arguments.config, f"cannot be read: {failure.strerror}") from failure
        except UnicodeDecodeError as failure:
            raise _refuse(arguments.config, "is not UTF-8; save it as UTF-8 in your editor") from failure
        except ValueError as failure:
            raise _refuse(arguments.config, f"is not JSON: {failure}") from failure
        if not isinstance(parameters, dict):
            raise _refuse(arguments.config, "holds no JSON object")
    parameters |= {name: value for name, value in vars(arguments).items() if name in parameter_names()}
    if isinstance(data_dir := parameters.get("data_dir"), str):
        parameters["data_dir"] = guide_data_dir(data_dir)
    return parameters


def _refuse(config: Path, why: str) -> SystemExit:
    """Why a file of `--config` cannot be used, and what one looks like."""
    return SystemExit(
        f'--config {config} {why}. Name a JSON file of names and values, as in {{"batch_size": 1}}.'
    )


def refuse_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> None:
    """Name the first flag that does not exist and the nearest that does."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    flag = unknown[0].partition("=")[0]
    parser.exit(2, f"Unknown flag {unknown[0]}.{_meant(flag, flags)}\n")


def _meant(flag: str, flags: Sequence[str]) -> str:
    name = flag.lstrip("-").replace("-", "_").lower()
    if flag in GROUPS:
        return f" Did you mean --pipeline {flag}?"
    if name == "params":
        return " Here each parameter is a flag, as in --batch-size 1."
    if (ours := name_here(name)) is not None:
        above, _, nested = ours.partition(".")
        shown = f"--{above.replace('_', '-')}" + (f' "{{{nested}: VALUE}}"' if nested else "")
        return f" It is {shown} here."
    if (remedy := remedy_for_foreign(name)) is not None:
        return f" {remedy}"
    close = difflib.get_close_matches(flag, flags, n=1)
    return f" Did you mean {close[0]}?" if close else " python main.py --help shows all flags."


def main(argv: Sequence[str] | None = None) -> None:
    """Turn the flags into one `kedro run` in the project, wherever this was typed."""
    prepare_terminal()
    parser = build_parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        refuse_unknown(parser, unknown)
    if arguments.config is not None:
        arguments.config = arguments.config.absolute()
    os.chdir(ROOT)  # Kedro looks here for the project, and for the word that nobody wants its telemetry
    options: dict[str, Any] = {"params": read_parameters(arguments)}
    command = ["run"]
    for option in ("pipeline", "env"):
        if (value := getattr(arguments, option)) is not None:
            command += [f"--{option}", value]
    if arguments.yes:
        command.append("--yes")

    from kedro.framework.cli.cli import KedroCLI

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "run.yml")
        config.write_text(yaml.safe_dump({"run": options}), encoding="utf-8")
        KedroCLI(project_path=ROOT).main(args=[*command, "--config", str(config)], prog_name="kedro")


if __name__ == "__main__":
    main()
