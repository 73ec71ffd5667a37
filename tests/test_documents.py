"""The documents are true: made pages are current, links lead somewhere, commands are ones that exist."""

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(PROJECT).as_posix()
    for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("benchmarks/**/*.md")]
)
LONGEST_LINE = 400  # characters; a row of a table cannot be wrapped, so it is to be shortened
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`((?:kedro|make|python main\.py) [^`\n]+)`")
_SHELLS = {"bash", "sh", "shell", "console"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_BINARIES = ".venv/bin/"
# What belongs to the system or to other projects; each is documented there.
_ELSEWHERE = {
    "git", "cd", "source", "export", "ollama", "pip", "uv", "python3", "cp", "mkdir", "ls", "watch", "apt-get", "sudo", "mlflow",
    "nvidia-smi", "llama-cli", "pre-commit", "ruff", "mypy", "lint-imports", "pytest", "df", "du", "swapon", "kill", "code", "jupyter",
}  # fmt: skip


def text_of(document: str) -> str:
    return (PROJECT / document).read_text(encoding="utf-8")


@cache
def load_script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "page", ["docs/troubleshooting.md", "docs/troubleshooting.zh.md", "docs/parameters.md"]
)
def test_a_made_page_is_current(page: str) -> None:
    made = load_script("tools/render_docs.py").pages()[page]
    assert made == text_of(page), "run: .venv/bin/python tools/render_docs.py"


def anchors_of(document: str) -> set[str]:
    """Named anchors and those that GitHub makes of headings."""
    text = _FENCE.sub("", text_of(document))
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    wrong = []
    for text, picture in _LINK.findall(_FENCE.sub("", text_of(document))):
        target, _, anchor = (text or picture).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (PROJECT / document).parent / target if target else PROJECT / document
        known = path.exists() and (
            not anchor or anchor in anchors_of(path.resolve().relative_to(PROJECT).as_posix())
        )
        if not known:
            wrong.append(text or picture)
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_line_is_a_wall_of_text(document: str) -> None:
    assert max(map(len, text_of(document).splitlines())) <= LONGEST_LINE


def commands_in(document: str) -> list[str]:
    """Shell commands of a document, line by line; a continued line is one."""
    found = []
    for language, block in _FENCE.findall(text_of(document)):
        if language not in _SHELLS:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ")
            if command and not command.startswith("#"):
                found.append(command)
    return found + _INLINE.findall(_FENCE.sub("", text_of(document)))


ALL_COMMANDS = [(document, command) for document in DOCUMENTS for command in commands_in(document)]


@cache
def kedro() -> click.Group:
    from kedro.framework.cli.cli import KedroCLI

    return KedroCLI(project_path=PROJECT)


def parse_click(command: click.Command, arguments: list[str]) -> None:
    """Fails where an option does not exist; runs nothing."""
    context = click.Context(command)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        inner = command.get_command(context, arguments[0])
        assert inner is not None, f"no command {arguments[0]}"
        command, arguments = inner, arguments[1:]
        context = click.Context(command, parent=context)
    command.make_parser(context).parse_args(list(arguments))


def parse_parameters(arguments: list[str]) -> None:
    """Fails where a parameter of --params does not exist."""
    from qwen_pipeline.params.groups import GROUPS, parameter_names

    for at, argument in enumerate(arguments):
        if argument != "--params":
            continue
        for pair in arguments[at + 1].split(","):
            name = pair.partition("=")[0].strip()
            group, _, rest = name.partition(".")
            if name.isupper():  # NAME=VALUE
                continue
            known = group in parameter_names() or (
                group in GROUPS and rest.partition(".")[0] in GROUPS[group].model_fields
            )
            assert known, f"no parameter {name}"


def check(command: str) -> None:
    words = shlex.split(command, comments=True)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if not words:
        return
    program, arguments = words[0].removeprefix(_BINARIES), words[1:]
    if program == "kedro":
        parse_click(kedro(), arguments)
        parse_parameters(arguments)
    elif program == "make":
        targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
        assert {word for word in arguments if "=" not in word} <= targets
    elif program in ("python", "python3") and arguments and arguments[0] == "main.py":
        _, unknown = load_script("main.py").build_parser().parse_known_args(arguments[1:])
        assert unknown == []
    elif program in ("python", "bash") and arguments and arguments[0] not in ("-m", "-c"):
        assert (PROJECT / arguments[0]).exists()
    else:
        assert program in {*_ELSEWHERE, "python", "bash"}, f"unknown program {program}"


def test_there_are_commands_to_check() -> None:
    assert len(ALL_COMMANDS) > 20


@pytest.mark.parametrize(
    ("document", "command"), ALL_COMMANDS, ids=[f"{d}: {c[:60]}" for d, c in ALL_COMMANDS]
)
def test_a_documented_command_exists_with_its_options(document: str, command: str) -> None:
    check(command)


@pytest.mark.parametrize(
    "wrong",
    [
        "kedro runn",
        "kedro run --forse",
        "kedro run --params batch=1",
        "make runn",
        "python main.py --batch 1x --nope",
        "nope x",
    ],
)
def test_the_check_finds_commands_that_do_not_exist(wrong: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check(wrong)
